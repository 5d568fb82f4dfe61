"""Agreeing on a key, where chance rarely goes."""

import os

from practice.telegram.handshake import DH_PRIME, GENERATOR, Handshake, P, Q
from practice.telegram.secrets import ServerKey
from telethon.crypto import AES, AuthKey, Factorization
from telethon.crypto.rsa import get_byte_array
from telethon.tl import functions, types


def test_a_key_that_begins_with_zero_is_known_as_each_client_writes_it():
    handshake = Handshake(ServerKey.at(""))
    handshake._nonce, handshake._server_nonce, handshake._new_nonce = 1, 2, 3
    handshake._exponent, handshake._temporary = 2**200 + 1, (os.urandom(32), os.urandom(32))
    ours = theirs = 1
    step = pow(GENERATOR, handshake._exponent, DH_PRIME)
    while not 0 < ours.bit_length() <= 2040 or theirs == 1:
        ours, theirs = ours * step % DH_PRIME, theirs * GENERATOR % DH_PRIME
    inner = bytes(types.ClientDHInnerData(1, 2, 0, get_byte_array(theirs)))
    sealed = AES.encrypt_ige(bytes(20) + inner, *handshake._temporary)
    answer = handshake._finish(functions.SetClientDHParamsRequest(1, 2, sealed))
    telethons = AuthKey(get_byte_array(ours))
    assert answer.new_nonce_hash1 == telethons.calc_new_nonce_hash(3, 1)
    assert handshake.keys == [telethons.key, ours.to_bytes(256, "big")]


def test_telethon_finds_the_factors_whatever_its_dice_say():
    assert {Factorization.factorize(P * Q) for _ in range(20_000)} == {(P, Q)}
