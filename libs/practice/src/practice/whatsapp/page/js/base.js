// Events, models and collections with the manners of WhatsApp's own (which resemble Backbone's).

export class Emitter {
  #listeners = new Map();

  on(name, listener) {
    this.#listeners.set(name, [...this.listeners(name), listener]);
    return this;
  }

  once(name, listener) {
    const single = (...given) => {
      this.off(name, single);
      listener(...given);
    };
    return this.on(name, single);
  }

  off(name, listener) {
    this.#listeners.set(name, this.listeners(name).filter((one) => one !== listener));
    return this;
  }

  listeners(name) {
    return this.#listeners.get(name) ?? [];
  }

  trigger(name, ...given) {
    for (const listener of this.listeners(name)) listener(...given);
    return this;
  }

  emit(name, ...given) {
    return this.trigger(name, ...given);
  }
}

/** What a model holds lies on it directly; `set` says what changed, to its collections too. */
export class Model extends Emitter {
  #collections = new Set();

  constructor(attributes = {}) {
    super();
    Object.assign(this, attributes);
  }

  get attributes() {
    return { ...this };
  }

  set(changes) {
    for (const [name, value] of Object.entries(changes)) {
      const before = this[name];
      if (before === value) continue;
      this[name] = value;
      this.trigger(`change:${name}`, this, value, before);
      for (const held of this.#collections) held.trigger(`change:${name}`, this, value, before);
    }
    return this;
  }

  unset(name) {
    delete this[name];
  }

  joined(collection) {
    this.#collections.add(collection);
  }
}

export class Collection extends Emitter {
  #models = new Map();

  constructor(models = []) {
    super();
    for (const model of models) this.add(model);
  }

  get length() {
    return this.#models.size;
  }

  /** Of an id, or of anything that has one. */
  get(given) {
    return this.#models.get(String(given?.id?._serialized ?? given));
  }

  /** A model whose id is there already takes the other's place. */
  add(model) {
    this.#models.set(String(model.id), model);
    model.joined?.(this);
    this.trigger("add", model);
    return model;
  }

  remove(given) {
    this.#models.delete(String(given?.id?._serialized ?? given));
  }

  getModelsArray() {
    return [...this.#models.values()];
  }

  map(of) {
    return this.getModelsArray().map(of);
  }

  filter(which) {
    return this.getModelsArray().filter(which);
  }

  findFirst(which) {
    return this.getModelsArray().find(which);
  }

  async find(id) {
    return this.get(id);
  }
}
