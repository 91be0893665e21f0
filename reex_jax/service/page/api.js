// Requests to the service: the token is added, errors become one readable line.

let token = sessionStorage.getItem("token") ?? "";

export class Problem extends Error {
  constructor(status, text, retry) {
    super(text);
    this.status = status;
    this.retry = retry;
  }
}

export function useToken(value) {
  token = value;
  sessionStorage.setItem("token", value);
}

async function send(path, options = {}) {
  const headers = { ...options.headers };
  if (token) headers.authorization = `Bearer ${token}`;
  let answer;
  try {
    answer = await fetch(path, { ...options, headers });
  } catch (error) {
    if (error.name === "AbortError") throw error;
    throw new Problem(0, "The service cannot be reached.", 3);
  }
  if (answer.ok) return answer;
  const told = await answer.json().catch(() => ({}));
  const retry = Number(answer.headers.get("retry-after")) || 0;
  throw new Problem(answer.status, told.error ?? `The service answered ${answer.status}.`, retry);
}

export async function get(path) {
  return (await send(path)).json();
}

// A full queue is no error: the same request is sent again when the service says so.
export async function post(path, body, { signal, type = "application/json", tries = 5 } = {}) {
  for (let left = tries; ; left -= 1) {
    try {
      const options = { method: "POST", body, signal, headers: { "content-type": type } };
      return await (await send(path, options)).json();
    } catch (error) {
      if (error.status !== 503 || !error.retry || left <= 1) throw error;
      await new Promise((resolve) => setTimeout(resolve, 1000 * error.retry));
    }
  }
}

// Pictures need the token too, which <img> cannot send.
export async function thumbnail(image, position) {
  const path = `/v1/items/${position}/thumbnail`;
  if (!token) {
    image.src = path;
    return;
  }
  try {
    image.src = URL.createObjectURL(await (await send(path)).blob());
    image.addEventListener("load", () => URL.revokeObjectURL(image.src), { once: true });
  } catch {
    image.hidden = true;
  }
}
