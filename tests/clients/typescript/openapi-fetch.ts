import createClient from "openapi-fetch";
import type { paths } from "./generated/openapi-typescript.js";
import { check, eventually, key, newEvent, program, url } from "./story.js";

const hub = createClient<paths>({ baseUrl: url, headers: { "X-API-Key": key } });

await hub.PUT("/programs/{ProgramId}", { params: { path: { ProgramId: program } }, body: { Name: "Nurses" } });
const imis = await hub.PUT("/subscribers/{SubscriberId}", {
  params: { path: { SubscriberId: "fetch-imis" } },
  body: {
    Connector: "imis",
    Name: "iMIS",
    Settings: { BaseUrl: "https://imis.example.org", ParticipantLookup: "email" },
    Credentials: { Username: "learning-hub", Password: "not a real one" },
  },
});
check(imis.data?.Connector === "imis", "an iMIS is set up");
const builder = await hub.PUT("/subscribers/{SubscriberId}", {
  params: { path: { SubscriberId: "fetch-builder" } },
  body: {
    Connector: "learningbuilder",
    Name: "LearningBuilder",
    Settings: { BaseUrl: "https://builder.example.org" },
    Credentials: { ApiKey: "not-a-real-one" },
  },
});
check(builder.data?.Connector === "learningbuilder", "a LearningBuilder is set up");
const webhook = await hub.PUT("/subscribers/{SubscriberId}", {
  params: { path: { SubscriberId: "fetch-webhook" } },
  body: { Connector: "webhook", Name: "Webhook", Settings: { Url: "https://hooks.example.org/learning" } },
});
check(webhook.data?.Connector === "webhook", "a webhook is set up");
const subscription = await hub.PUT("/subscriptions/{SubscriptionId}", {
  params: { path: { SubscriptionId: "fetch" } },
  body: {
    Name: "Completions",
    SubscriberId: "fetch-webhook",
    ProgramId: program,
    PublisherSystemId: "openapi-fetch",
    EventTypes: ["AI_COMP_SUCCESS"],
    Target: { Kind: "post" },
    Templates: { _default: { Course: "{{ data['Course Name'] }}" }, Internal: null },
    State: "stopped",
  },
});
check(subscription.data?.State === "stopped", "a subscription is set up");

const event = newEvent("openapi-fetch");
const valid = await hub.POST("/events", { params: { query: { ValidateOnly: true } }, body: event });
check(typeof valid.data === "object" && valid.data.WouldBe === "new", "the event would be new");
const first = await hub.POST("/events", { body: event });
const again = await hub.POST("/events", { body: event });
check(first.response.status === 201 && again.response.status === 200, "the same event again is stored once");
const eventId = decodeURIComponent(again.response.headers.get("Location")?.split("/").at(-1) ?? "");

const seen: string[] = [];
for (let cursor: string | undefined; !seen.includes(eventId); ) {
  const page = await hub.GET("/events", {
    params: { query: { ProgramId: program, PublisherSystemId: "openapi-fetch", Wait: 5, ...(cursor ? { Cursor: cursor } : {}) } },
  });
  check(page.data !== undefined, "the feed can be read");
  seen.push(...page.data.Items.map((item) => item.EventId));
  cursor = page.data.NextCursor;
}
const delivery = await eventually(
  async () => (await hub.GET("/deliveries", { params: { query: { EventId: eventId } } })).data?.Items,
);
const detail = await hub.GET("/deliveries/{DeliveryId}", { params: { path: { DeliveryId: delivery.DeliveryId } } });
check(detail.data?.State === "waiting", "the delivery of a stopped subscription waits");
const wrong = await hub.GET("/deliveries", { params: { query: { Limit: 0 } } });
check(wrong.error?.code === "invalid_fields", "a bad field is told as a problem");
