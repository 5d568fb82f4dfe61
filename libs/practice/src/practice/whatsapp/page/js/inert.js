// Modules which the bundle looks for, to wrap or to listen to, and which no one here uses.
import { Collection, Emitter, Model } from "./base.js";
import { VERSION } from "./graph.js";

const SOCKET_STATES =
  "OPENING PAIRING UNPAIRED UNPAIRED_IDLE CONNECTED TIMEOUT CONFLICT UNLAUNCHED PROXYBLOCK TOS_BLOCK SMB_TOS_BLOCK DEPRECATED_VERSION";

const same = (names) => Object.fromEntries(names.split(" ").map((name) => [name, name]));

/** Functions that do nothing, by module. */
const IDLE = {
  WAWebDBUpdateLabelAssociation:
    "addToLabelCollection createLabelItemId getParentCollection initializeLabels removeLabelFromCollection",
  WAWebUpsertVotes: "upsertVotes upsertVotesDb",
  WAWebReactionsCollectionUtils: "addOrUpdateReactionsModelCollection",
  WAWebCreateMsgProtobuf: "createMsgProtobuf",
  WAWebMediaTypeUtils: "encodeMaybeMediaType mediaTypeFromProtobuf typeAttributeFromProtobuf",
  WAWebCreateFanoutStanza: "createFanoutMsgStanza",
  WAWebSendMsgJob: "encryptAndSendMsg",
  WAWebHandleSingleMsg: "handleSingleMsg",
  WAWebUnreadTypeUtils: "isUnreadTypeMsg",
  WAWebDBCreateChat: "createChatRecord",
  WAWebDBGroupAction: "updateDBForGroupAction",
  WAWebVideoThumbs: "generateVideoThumbsAndDuration",
  WAWebProcessRawSticker: "processRawSticker",
  WAWebUploadManager: "uploadMedia",
  WAWebEphemeralUtils: "getEphemeralFields",
  WAWebABProps: "getABPropConfigValue",
  WAWebLinkPreview: "genMinimalLinkPreview",
  WAWebPinnedChats: "getNumChatsPinned",
  WAWebPrimaryFeatures: "primaryFeatureEnabled",
  WAWebInboxFilters: "isFilterExcludedFromSearchTreatmentInInboxFlow",
  WAWebContactFlags:
    "getNotifyName getPremiumMessageName getUserid getIsMe getIsUser getIsGroup getIsBroadcast getIsNewsletter getIsPSA " +
    "getIsIAS getIsSupportAccount getIsWAContact getCanRequestPhoneNumber getShowBusinessCheckmarkAsPrimary " +
    "getShowBusinessCheckmarkAsSecondary getShowBusinessCheckmarkInChatlist getIsDisplayNameApproved " +
    "getShouldForceBusinessUpdate",
  WAWebContactNames:
    "getPhoneNumber getTextStatusString getDisplayName getPnForLid getUserDisplayNameForLid getFormattedPhone " +
    "getFormattedShortNameWithNonBreakingSpaces getFormattedShortName getFormattedName getFormattedUser getSearchName",
  WAWebContactMine: "getIsMyContact getMentionName",
  WAWebContactHeaders: "getSearchVerifiedName getHeader",
};

/** Collections nobody fills, by topic. */
const EMPTY = ["Blocklist", "Status", "Mute", "Label", "Sticker", "QuickReply", "BotProfile", "ProfilePicThumb"];

const doingNothing = (names) => Object.fromEntries(names.split(" ").map((name) => [name, () => undefined]));

const idle = () => Object.fromEntries(Object.entries(IDLE).map(([id, names]) => [id, doingNothing(names)]));

const empty = () =>
  Object.fromEntries(
    EMPTY.map((topic) => [`WAWeb${topic}Collection`, { [`${topic}Collection`]: new (class extends Collection {})() }]),
  );

class Calls extends Collection {
  processIncomingCall() {}
}

export const inertModules = () => ({
  ...idle(),
  ...empty(),
  WATimeUtils: { unixTime: () => Math.floor(Date.now() / 1000), unixTimeMs: () => Date.now() },
  WAWebBackendEventBus: { BackendEvent: {}, BackendEventBus: new Emitter() },
  WAWebLid1X1MigrationUtils: { Lid1X1MigrationUtils: { isLidMigrated: () => true } },
  WAWebChatSearchQuery: { SearchQuery: class { updateLabelQuery() {} } },
  WAWebBuildConstants: { VERSION_STR: VERSION, VERSION_PRIMARY: "2", VERSION_SECONDARY: "3000", VERSION_TERTIARY: "1048032155" },
  WAWebAck: {
    ACK: { CLOCK: 0, SENT: 1, RECEIVED: 2, READ: 3, PLAYED: 4, FAILED: -1 },
    ACK_STRING: { SENDER: "sender", DELIVERY: "delivery", READ: "read", PLAYED: "played" },
    EDIT_ATTR: {},
  },
  WAWebBaseModel: { defineModel: (model) => model, BaseModel: Model },
  WAWebSocketConstants: {
    SOCKET_STATE: same(SOCKET_STATES),
    SOCKET_STREAM: same("DISCONNECTED SYNCING RESUMING CONNECTED"),
    WATCHED_SOCKET_STATE: same("OPEN CLOSED"),
  },
  WAWebVersion: { SANITIZED_VERSION_STR: VERSION },
  WAWebCallCollection: { default: new Calls(), CallCollectionImpl: Calls },
});
