// The server's endpoints; failures are sentences.

export class Trouble extends Error { name = "Trouble"; }

async function answered(response) {
  if (response.ok) return response;
  let sentence = `the server answered ${response.status}`;
  try { sentence = (await response.json()).error || sentence; } catch { /* no JSON: the number must do */ }
  throw new Trouble(sentence);
}

async function asked(path, options) {
  try {
    return await fetch(path, options);
  } catch (error) {
    if (error.name === "AbortError") throw error;
    throw new Trouble("The server does not answer; start `xit serve` again and reload.");
  }
}

export async function get(path, signal) {
  return (await answered(await asked(path, { signal }))).json();
}

function posted(body, signal) {
  return { method: "POST", headers: { "content-type": "application/json" }, body: JSON.stringify(body), signal };
}

export async function post(path, body, signal) {
  return (await answered(await asked(path, posted(body, signal)))).json();
}

// Calls `heard` with every event of a stream until it ends; aborting the signal stops the server's work too.
export async function stream(path, body, signal, heard) {
  const response = await answered(await asked(path, posted(body, signal)));
  const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
  let pending = "";
  for (;;) {
    const { value, done } = await reader.read();
    if (done) return;
    const parts = (pending + value).split("\n\n");
    pending = parts.pop();
    for (const part of parts) heard(JSON.parse(part.slice("data: ".length)));
  }
}
