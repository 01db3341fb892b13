/** What every client does, with the values that it sends: the names are those of the API. */
import { randomUUID } from "node:crypto";

export const url = needed("LEARNING_HUB_URL");
export const key = needed("LEARNING_HUB_KEY");
export const program = "NURSES";

/** An event that no other client publishes. */
export function newEvent(client: string) {
  return {
    PublisherProgramId: program,
    PublisherSystemId: client.slice(0, 25),
    EventType: "AI_COMP_SUCCESS" as const,
    PublisherEventId: `AI:${randomUUID()}`,
    PublisherParticipantId: "robin.vale@example.org",
    PublisherEventData: { "Course Name": "Fire safety", Credits: 1.5 },
    EventStartUtc: "2026-11-20T14:00:00Z",
  };
}

/** What *look* returns, as soon as it is not empty: deliveries are made right after their event is stored. */
export async function eventually<T>(look: () => Promise<T[] | undefined>): Promise<T> {
  for (;;) {
    const [first] = (await look()) ?? [];
    if (first !== undefined) return first;
    await new Promise((resolve) => setTimeout(resolve, 100));
  }
}

export function check(holds: boolean, sentence: string): asserts holds {
  if (!holds) throw new Error(`It is not true that ${sentence}.`);
}

function needed(name: string): string {
  const value = process.env[name];
  if (!value) throw new Error(`${name} is not set.`);
  return value;
}
