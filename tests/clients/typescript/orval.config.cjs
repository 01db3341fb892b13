/** Orval puts the address of the hub into the client when it generates it. */
module.exports = {
  hub: {
    input: process.env.LEARNING_HUB_OPENAPI,
    output: { target: "./generated/orval.ts", client: "fetch", baseUrl: process.env.LEARNING_HUB_URL },
  },
};
