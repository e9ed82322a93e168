// Programs of @microsoft/durabletask-js, run by a Node that finds it in NODE_PATH.
//
// Usage: node js_sdk.js ADDRESS HUB worker | activities | all | NAME...

"use strict";

const assert = require("node:assert/strict");
const grpc = require("@grpc/grpc-js");
const {
  EntityInstanceId, NoOpLogger, OrchestrationStatus: Status, RetryPolicy, TaskEntity,
  TaskHubGrpcClient, TaskHubGrpcWorker, terminateOptions, whenAll, whenAny,
} = require("@microsoft/durabletask-js");

const [address, hub, ...names] = process.argv.slice(2);
const PATIENCE = 30;

const connection = {
  hostAddress: address,
  logger: new NoOpLogger(),
  metadataGenerator: async () => {
    const metadata = new grpc.Metadata();
    metadata.set("taskhub", hub);
    metadata.set("x-user-agent", "durabletask-js/0.4.0 (DurableTaskClient)");
    return metadata;
  },
};

const sleep = (ms) => new Promise((done) => setTimeout(done, ms));

// --- orchestrators and activities ---------------------------------------------------------------

const attempts = new Map();
const attempt = (key) => (attempts.set(key, (attempts.get(key) ?? 0) + 1), attempts.get(key));

const activities = {
  double: async (_, value) => 2 * value,
  flaky: async (_, key) => {
    if (attempt(key) < 3) throw new Error(`attempt ${attempts.get(key)}`);
    return attempts.get(key);
  },
  broken: async (_, value) => { throw new TypeError(`cannot take ${value}`); },
  sleepy: async (_, seconds) => { await sleep(1000 * seconds); return seconds; },
  nothing: async () => undefined,
};

// --- entities ------------------------------------------------------------------------------------

const counter = (key) => new EntityInstanceId("Counter", key);

class Counter extends TaskEntity {
  initializeState() { return 0; }
  add(amount) { return (this.state += amount); }
  get() { return this.state; }
  addAndFail(amount) {
    this.state += amount;
    this.context.signalEntity(counter("never"), "add", 1);
    throw new TypeError(`no more than ${amount}`);
  }
  passOn(keys) {
    this.state += 1;
    if (keys.length) this.context.signalEntity(counter(keys[0]), "passOn", keys.slice(1));
  }
  launch(key) { return this.context.scheduleNewOrchestration("adding", [key, 5]); }
}

const retry = new RetryPolicy({ maxNumberOfAttempts: 5, firstRetryIntervalInMilliseconds: 20 });

const orchestrators = {
  sequence: async function* (ctx, count) {
    let total = 0;
    for (let n = 0; n < count; n++) total += yield ctx.callActivity("double", n);
    return total;
  },
  fanOut: async function* (ctx, count) {
    const tasks = [];
    for (let n = 0; n < count; n++) tasks.push(ctx.callActivity("double", n));
    const results = yield whenAll(tasks);
    return results.reduce((a, b) => a + b, 0);
  },
  needy: async function* (ctx, key) {
    yield ctx.callActivity("double", 1);
    return yield ctx.callActivity("flaky", key);
  },
  needyFamily: async function* (ctx, key) {
    const doubled = yield ctx.callActivity("double", 4);
    const found = yield whenAll([
      ctx.callSubOrchestrator("needy", `${key}-1`),
      ctx.callActivity("flaky", `${key}-2`),
    ]);
    const last = yield ctx.callSubOrchestrator("child", 6);
    return [doubled, ...found, last[0]];
  },
  child: async function* (ctx, value) {
    return [yield ctx.callActivity("double", value), ctx.parent?.instanceId ?? null];
  },
  parent: async function* (ctx, value) {
    const [one, by] = yield ctx.callSubOrchestrator("child", value);
    const id = `${ctx.instanceId}-two`;
    const [two] = yield ctx.callSubOrchestrator("child", one, { instanceId: id });
    return [two, by === ctx.instanceId];
  },
  failingChild: async function* (ctx, key) {
    if (attempt(key) < 2) throw new Error("not yet");
    return attempts.get(key);
  },
  retrying: async function* (ctx, key) {
    const one = yield ctx.callActivity("flaky", `${key}-a`, { retry });
    const two = yield ctx.callSubOrchestrator("failingChild", `${key}-c`, { retry });
    return [one, two];
  },
  timers: async function* (ctx) {
    const began = ctx.currentUtcDateTime;
    yield ctx.createTimer(new Date(began.getTime() + 200));
    return ctx.currentUtcDateTime - began;
  },
  listening: async function* (ctx, count) {
    const heard = [];
    for (let n = 0; n < count; n++) {
      heard.push(yield ctx.waitForExternalEvent("Say"));
      ctx.setCustomStatus(heard);
    }
    return heard;
  },
  racing: async function* (ctx) {
    const timer = ctx.createTimer(3600);
    const event = ctx.waitForExternalEvent("say");
    return (yield whenAny([timer, event])) === event ? "event" : "timer";
  },
  counting: async function* (ctx, state) {
    const total = state.total + (yield ctx.waitForExternalEvent("add"));
    if (state.left > 1) ctx.continueAsNew({ left: state.left - 1, total }, true);
    else return total;
  },
  failing: async function* (ctx, value) { yield ctx.callActivity("broken", value); },
  returningNothing: async function* (ctx) {
    return (yield ctx.callActivity("nothing")) === undefined ? "nothing" : "something";
  },
  waitingParent: async function* (ctx) {
    yield ctx.callSubOrchestrator("listening", 1, { instanceId: `${ctx.instanceId}-child` });
  },
  adding: async function* (ctx, [key, amount]) {
    const one = yield ctx.entities.callEntity(counter(key), "add", amount);
    let message = "nothing";
    try {
      yield ctx.entities.callEntity(counter(key), "addAndFail", 100);
    } catch (error) {
      message = error.failureDetails.errorMessage;
    }
    ctx.entities.signalEntity(counter(`${key}-beside`), "add", one);
    return [one, message, yield ctx.entities.callEntity(counter(key), "add", amount)];
  },
  moving: async function* (ctx, [giver, taker, amount]) {
    const lock = yield ctx.entities.lockEntities(counter(taker), counter(giver));
    const given = yield ctx.entities.callEntity(counter(giver), "get");
    const taken = yield ctx.entities.callEntity(counter(taker), "get");
    yield ctx.callActivity("double", 0);
    yield ctx.entities.callEntity(counter(giver), "add", -amount);
    const one = yield ctx.entities.callEntity(counter(taker), "add", amount);
    const other = yield ctx.entities.callEntity(counter(giver), "get");
    lock.release();
    return [given - other, one - taken];
  },
  dropping: async function* (ctx, [how, ...keys]) {
    yield ctx.entities.lockEntities(...keys.map(counter));
    if (how === "fail") throw new Error("while it holds locks");
    if (how === "again") ctx.continueAsNew(["return", ...keys]);
    return how;
  },
  long_lived: async function* (ctx, count) {
    for (let n = 0; n < count; n++) {
      yield ctx.callActivity("sleepy", 0.02);
      ctx.setCustomStatus(n + 1);
    }
    return count;
  },
};

// --- scenarios ----------------------------------------------------------------------------------

async function finish(client, id, status = Status.COMPLETED) {
  const state = await client.waitForOrchestrationCompletion(id, true, PATIENCE);
  assert.ok(state, `${id} is gone`);
  assert.equal(state.runtimeStatus, status, JSON.stringify(state.failureDetails));
  return state;
}

async function run(client, name, input, options) {
  const id = await client.scheduleNewOrchestration(name, input, options);
  return JSON.parse((await finish(client, id)).serializedOutput ?? "null");
}

async function eventually(condition) {
  const deadline = Date.now() + 1000 * PATIENCE;
  while (!(await condition())) {
    assert.ok(Date.now() < deadline, "waited in vain");
    await sleep(20);
  }
}

const value = async (client, key) => (await client.getEntity(counter(key)))?.state;

const exists = (client, id) => async () => (await client.getOrchestrationState(id)) !== undefined;

const scenarios = {
  sequence: async (client) => assert.equal(await run(client, "sequence", 10), 90),
  fan_out: async (client) => assert.equal(await run(client, "fanOut", 50), 2450),
  two_thousand_activities: async (client) =>
    assert.equal(await run(client, "fanOut", 2000), 3998000),
  fifty_at_once: async (client) => {
    const runs = Array.from({ length: 50 }, () => run(client, "sequence", 5));
    assert.deepEqual(await Promise.all(runs), Array(50).fill(20));
  },
  children: async (client) => {
    const id = await client.scheduleNewOrchestration("parent", 3);
    assert.deepEqual(JSON.parse((await finish(client, id)).serializedOutput), [12, true]);
    await finish(client, `${id}-two`);
  },
  timers: async (client) => {
    const took = await run(client, "timers");
    assert.ok(took >= 199 && took < 20000, `${took} ms`);
  },
  events: async (client) => {
    const id = await client.scheduleNewOrchestration("listening", 3);
    await client.waitForOrchestrationStart(id, false, PATIENCE);
    for (const value of [1, { two: 2 }, "three"])
      await client.raiseOrchestrationEvent(id, "say", value);
    const state = await finish(client, id);
    assert.deepEqual(JSON.parse(state.serializedOutput), [1, { two: 2 }, "three"]);
    assert.deepEqual(JSON.parse(state.serializedCustomStatus), [1, { two: 2 }, "three"]);
    const race = await client.scheduleNewOrchestration("racing");
    await client.raiseOrchestrationEvent(race, "SAY", 1);
    assert.equal(JSON.parse((await finish(client, race)).serializedOutput), "event");
  },
  continue_as_new: async (client) => {
    const id = await client.scheduleNewOrchestration("counting", { left: 5, total: 0 });
    for (let n = 1; n <= 5; n++) await client.raiseOrchestrationEvent(id, "add", n);
    assert.equal(JSON.parse((await finish(client, id)).serializedOutput), 15);
  },
  suspend_and_resume: async (client) => {
    const id = await client.scheduleNewOrchestration("listening", 1);
    await client.waitForOrchestrationStart(id, false, PATIENCE);
    await client.suspendOrchestration(id);
    const status = async () => (await client.getOrchestrationState(id)).runtimeStatus;
    await eventually(async () => (await status()) === Status.SUSPENDED);
    await client.raiseOrchestrationEvent(id, "say", "kept");
    await sleep(300);
    assert.equal(await status(), Status.SUSPENDED);
    await client.resumeOrchestration(id);
    assert.deepEqual(JSON.parse((await finish(client, id)).serializedOutput), ["kept"]);
  },
  terminate: async (client) => {
    const id = await client.scheduleNewOrchestration("waitingParent");
    await eventually(exists(client, `${id}-child`));
    await client.terminateOrchestration(id, terminateOptions({ recursive: true, output: "enough" }));
    assert.equal((await finish(client, id, Status.TERMINATED)).serializedOutput, '"enough"');
    await finish(client, `${id}-child`, Status.TERMINATED);
  },
  terminate_alone: async (client) => {
    const id = await client.scheduleNewOrchestration("waitingParent");
    await eventually(exists(client, `${id}-child`));
    await client.terminateOrchestration(id);
    await finish(client, id, Status.TERMINATED);
    await client.raiseOrchestrationEvent(`${id}-child`, "say", 1);
    await finish(client, `${id}-child`);
  },
  purge: async (client) => {
    const id = await client.scheduleNewOrchestration("parent", 1);
    await finish(client, id);
    const purged = await client.purgeOrchestration(id, { recursive: true });
    assert.equal(purged.deletedInstanceCount, 3);
    assert.equal(await client.getOrchestrationState(id), undefined);
  },
  retries: async (client) =>
    assert.deepEqual(await run(client, "retrying", `retry-${Date.now()}`), [3, 2]),
  failure_details: async (client) => {
    const id = await client.scheduleNewOrchestration("failing", "this");
    const state = await finish(client, id, Status.FAILED);
    assert.match(state.failureDetails.message, /cannot take this/);
  },
  nothing: async (client) => assert.equal(await run(client, "returningNothing"), "nothing"),
  tags_and_queries: async (client) => {
    const mark = `query-${Date.now()}-`;
    for (let n = 0; n < 5; n++) {
      const id = `${mark}${n}`;
      await client.scheduleNewOrchestration("sequence", 1, { instanceId: id, tags: { n: `${n}` } });
      assert.deepEqual((await finish(client, id)).tags, { n: `${n}` });
    }
    const found = [];
    for await (const state of client.getAllInstances({ instanceIdPrefix: mark, pageSize: 2 }))
      found.push(state.instanceId);
    assert.deepEqual(found.sort(), [0, 1, 2, 3, 4].map((n) => `${mark}${n}`));
    const page = await client.listInstanceIds({ pageSize: 3 });
    assert.equal(page.values.length, 3);
  },
  id_reuse: async (client) => {
    const instanceId = `reuse-${Date.now()}`;
    assert.equal(await run(client, "sequence", 2, { instanceId }), 2);
    await assert.rejects(client.scheduleNewOrchestration("sequence", 3, { instanceId }));
  },
  restart: async (client) => {
    const id = await client.scheduleNewOrchestration("sequence", 4);
    await finish(client, id);
    assert.equal(await client.restartOrchestration(id), id);
    assert.equal(JSON.parse((await finish(client, id)).serializedOutput), 12);
    const other = await client.restartOrchestration(id, true);
    assert.notEqual(other, id);
    assert.equal(JSON.parse((await finish(client, other)).serializedOutput), 12);
  },
  rewind: async (client) => {
    const key = `rewind-${Date.now()}`;
    const id = await client.scheduleNewOrchestration("needyFamily", key);
    for (const reason of ["the service is back", "once more"]) {
      assert.equal((await finish(client, id, Status.FAILED)).runtimeStatus, Status.FAILED);
      while (attempts.get(`${key}-1`) !== attempts.get(`${key}-2`)) await sleep(20);
      await sleep(200);
      await client.rewindInstance(id, reason);
    }
    assert.deepEqual(JSON.parse((await finish(client, id)).serializedOutput), [8, 3, 3, 12]);
    await assert.rejects(client.rewindInstance(id, "why not"));
    await assert.rejects(client.rewindInstance("nobody", "why not"));
  },
  entities: async (client) => {
    const key = `entities-${Date.now()}`;
    assert.deepEqual(await run(client, "adding", [key, 2]), [2, "no more than 100", 4]);
    await eventually(async () => (await value(client, `${key}-beside`)) === 2);
    for (let n = 0; n < 5; n++) await client.signalEntity(counter(key), "add", 1);
    await eventually(async () => (await value(client, key)) === 9);
    const chain = [1, 2, 3, 4].map((n) => `${key}-${n}`);
    await client.signalEntity(counter(`${key}-0`), "passOn", chain);
    await eventually(async () => (await value(client, `${key}-4`)) === 1);
    await client.signalEntity(counter(key), "launch", `${key}-launched`);
    await eventually(async () => (await value(client, `${key}-launched`)) === 10);
    const signalTime = new Date(Date.now() + 1000);
    await client.signalEntity(counter(`${key}-late`), "add", 1, { signalTime });
    await eventually(async () => (await value(client, `${key}-late`)) === 1);
    assert.ok(Date.now() >= signalTime.getTime());
    assert.equal(await value(client, "never"), undefined);
    await client.signalEntity(counter(key), "fly");
    await client.signalEntity(new EntityInstanceId("nothing", "x"), "be");
    assert.equal((await run(client, "adding", [key, 1]))[0], 10);
  },
  many_entities: async (client) => {
    const mark = `many-${Date.now()}`;
    const numbers = Array.from({ length: 100 }, (_, n) => n);
    await Promise.all(numbers.map((n) => run(client, "adding", [`${mark}-${n % 10}`, 1])));
    for (let n = 0; n < 10; n++) assert.equal(await value(client, `${mark}-${n}`), 20);
  },
  locks: async (client) => {
    const mark = `locks-${Date.now()}`;
    const keys = [0, 1, 2].map((n) => `${mark}-${n}`);
    const numbers = Array.from({ length: 30 }, (_, n) => n);
    const moved = await Promise.all(numbers.map((n) =>
      run(client, "moving", [keys[n % 3], keys[(n + 1 + (n % 2)) % 3], (n % 5) + 1])));
    assert.deepEqual(moved, numbers.map((n) => [(n % 5) + 1, (n % 5) + 1]));
    let sum = 0;
    for (const key of keys) sum += await value(client, key);
    assert.equal(sum, 0);
  },
  locks_at_the_end: async (client) => {
    const mark = `ends-${Date.now()}`;
    const keys = [0, 1].map((n) => `${mark}-${n}`);
    for (const how of ["return", "again", "fail"]) {
      const id = await client.scheduleNewOrchestration("dropping", [how, ...keys]);
      await finish(client, id, how === "fail" ? Status.FAILED : Status.COMPLETED);
      assert.deepEqual(await run(client, "moving", [...keys, 1]), [1, 1]);
    }
  },
  entity_queries: async (client) => {
    const mark = `queried-${Date.now()}`;
    for (let n = 0; n < 5; n++) await client.signalEntity(counter(`${mark}-${n}`), "add", n + 1);
    const found = async () => {
      const all = [];
      const query = { instanceIdStartsWith: `counter@${mark}`, includeState: true, pageSize: 2 };
      for await (const entity of client.getEntities(query)) all.push(entity.state);
      return all.sort();
    };
    await eventually(async () => (await found()).length === 5);
    assert.deepEqual(await found(), [1, 2, 3, 4, 5]);
    const bare = await client.getEntity(counter(`${mark}-0`), false);
    assert.equal(bare.includesState, false);
    await client.signalEntity(counter(`${mark}-0`), "delete");
    await eventually(async () => (await client.getEntity(counter(`${mark}-0`))) === undefined);
    assert.deepEqual(await found(), [2, 3, 4, 5]);
    assert.equal((await client.cleanEntityStorage()).orphanedLocksReleased, 0);
    assert.deepEqual(await found(), [2, 3, 4, 5]);
  },
  history: async (client) => {
    const id = await client.scheduleNewOrchestration("sequence", 1);
    await finish(client, id);
    const kinds = (await client.getOrchestrationHistory(id)).map((event) => event.type);
    assert.equal(kinds.length, 6, kinds.join());
    assert.deepEqual(await client.getOrchestrationHistory("nobody"), []);
  },
};

async function main() {
  const only = names[0] === "activities";
  const worker = new TaskHubGrpcWorker({
    ...connection, ...(only ? { workItemFilters: "auto" } : {}), shutdownTimeoutMs: 1000,
  });
  if (!only)
    for (const [name, f] of Object.entries(orchestrators)) worker.addNamedOrchestrator(name, f);
  for (const [name, f] of Object.entries(activities)) worker.addNamedActivity(name, f);
  if (!only) worker.addNamedEntity("Counter", () => new Counter());
  await worker.start();
  if (only || names[0] === "worker") {
    console.log("ready");
    process.stdin.on("data", () => {});
    await new Promise((done) => process.stdin.on("end", done));
  } else {
    const client = new TaskHubGrpcClient(connection);
    for (const name of names[0] === "all" ? Object.keys(scenarios) : names) {
      const began = Date.now();
      await scenarios[name](client);
      console.log(`passed ${name} ${(Date.now() - began) / 1000}`);
    }
    await client.stop();
  }
  await worker.stop();
}

main().then(() => process.exit(0), (error) => { console.error(error); process.exit(1); });
