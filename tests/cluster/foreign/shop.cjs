// A shop's own program, on kafkajs:  node shop.cjs BROKER TOPIC binary|structured < orders.json
//                                    node shop.cjs BROKER TOPIC read COUNT
const { randomUUID } = require("node:crypto");
const { readFileSync } = require("node:fs");
const { decompress } = require("fzstd");
const { CompressionCodecs, CompressionTypes, Kafka, logLevel } = require("kafkajs");

// What we publish is compressed, and kafkajs brings no codec but gzip's.
CompressionCodecs[CompressionTypes.ZSTD] = () => ({ decompress: async (bytes) => Buffer.from(decompress(bytes)) });

const [broker, topic, mode, count] = process.argv.slice(2);
const kafka = new Kafka({ brokers: [broker], logLevel: logLevel.ERROR });

const attributes = () => ({ specversion: "1.0", type: "order.placed", source: "/shop/kafkajs", id: randomUUID() });

function binary(order) {
  const headers = Object.entries(attributes()).map(([name, value]) => [`ce_${name}`, value]);
  return { headers: { ...Object.fromEntries(headers), "content-type": "application/json" }, value: JSON.stringify(order) };
}

function structured(order) {
  const value = JSON.stringify({ ...attributes(), time: new Date().toISOString(), data: order });
  return { headers: { "content-type": "application/cloudevents+json; charset=utf-8" }, value };
}

async function publish(shape) {
  const producer = kafka.producer();
  await producer.connect();
  const orders = JSON.parse(readFileSync(0, "utf8"));
  await producer.send({ topic, messages: orders.map((order) => ({ key: order.number, ...shape(order) })) });
  await producer.disconnect();
}

async function read() {
  const consumer = kafka.consumer({ groupId: `kafkajs-${randomUUID()}` });
  await consumer.connect();
  await consumer.subscribe({ topic, fromBeginning: true });
  let seen = 0;
  await new Promise((enough, fail) => {
    consumer.on("consumer.crash", ({ payload }) => fail(payload.error));
    consumer.run({
      eachMessage: async ({ message }) => {
        const headers = Object.entries(message.headers).map(([name, value]) => [name, value.toString()]);
        const read = { key: message.key.toString(), headers: Object.fromEntries(headers), value: message.value.toString() };
        if (seen < count) console.log(JSON.stringify(read));
        if (++seen >= count) enough();
      },
    });
  });
  await consumer.disconnect();
}

const work = { binary: () => publish(binary), structured: () => publish(structured), read };
work[mode]().catch((error) => {
  console.error(error.message);
  process.exit(1);
});
