"""llama-server as the peer to agree with: starts the private runtime's, asks it over its own HTTP API, ends it."""
import base64
import glob
import io
import json
import os
import socket
import subprocess
import tempfile
import time
import urllib.error
import urllib.request

from PIL import Image


def runtime_folder():
    """The private runtime: SCRY_RUNTIME, or what tools/fetch-runtime says."""
    if os.environ.get("SCRY_RUNTIME"):
        return os.environ["SCRY_RUNTIME"]
    cache = os.environ.get("XDG_CACHE_HOME") or os.path.expanduser("~/.cache")
    return os.path.join(cache, "scry", "runtime")


def server_command(prefix):
    """How to start llama-server: through the runtime's own loader, or as a system command where there is one."""
    loaders = glob.glob(os.path.join(prefix, "lib", "ld-linux-*.so.*"))
    program = os.path.join(prefix, "bin", "llama-server")
    if loaders and os.path.exists(program):
        lib = os.path.join(prefix, "lib")
        return [loaders[0], "--library-path", lib, program], {"GGML_BACKEND_PATH": ""}
    for folder in os.environ.get("PATH", "").split(":"):
        if os.access(os.path.join(folder, "llama-server"), os.X_OK):
            return [os.path.join(folder, "llama-server")], {}
    return None, {}


def _free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


class LlamaServer:
    """with LlamaServer(text_path, mmproj_path) as server: server.ask(pixels, prompt)"""

    def __init__(self, text_path, vision_path, context=2048, threads=2, command=None):
        command, more = command or server_command(runtime_folder())
        if command is None:
            raise FileNotFoundError("no llama-server: run tools/fetch-runtime")
        self.port = _free_port()
        self.log = tempfile.TemporaryFile(mode="w+")
        environment = {**os.environ, **{k: v for k, v in more.items() if v}}
        self.process = subprocess.Popen(
            [*command, "-m", text_path, "--mmproj", vision_path, "--host", "127.0.0.1", "--port", str(self.port),
             "-c", str(context), "-t", str(threads), "-np", "1"],
            stdout=self.log, stderr=subprocess.STDOUT, env=environment)

    def __enter__(self):
        deadline = time.time() + 60
        while time.time() < deadline:
            if self.process.poll() is not None:
                break
            try:
                urllib.request.urlopen(f"http://127.0.0.1:{self.port}/health", timeout=2)
                return self
            except (urllib.error.URLError, ConnectionError, TimeoutError):
                time.sleep(0.05)
        self.__exit__()
        self.log.seek(0)
        raise RuntimeError("llama-server did not become ready; its last words:\n" + self.log.read()[-2000:])

    def __exit__(self, *_):
        self.process.terminate()
        self.process.wait(timeout=20)

    def post(self, path, document):
        request = urllib.request.Request(f"http://127.0.0.1:{self.port}{path}", json.dumps(document).encode(),
                                         {"Content-Type": "application/json"})
        with urllib.request.urlopen(request, timeout=120) as answer:
            return json.load(answer)

    def chat(self, pixels, prompt, max_tokens=80, **more):
        """The whole reply to one question about one picture, sent as PNG."""
        buffer = io.BytesIO()
        Image.fromarray(pixels).save(buffer, "PNG")
        url = "data:image/png;base64," + base64.b64encode(buffer.getvalue()).decode()
        content = [{"type": "image_url", "image_url": {"url": url}}, {"type": "text", "text": prompt}]
        return self.post("/v1/chat/completions", {"messages": [{"role": "user", "content": content}],
                                                  "max_tokens": max_tokens, "temperature": 0, **more})

    def ask(self, pixels, prompt):
        return self.chat(pixels, prompt)["choices"][0]["message"]["content"]

    def first_log_probabilities(self, pixels, prompt, vocabulary):
        """{token id: log-probability} of the first answer token; empty where the answer ended before it began."""
        reply = self.chat(pixels, prompt, max_tokens=1, logprobs=True, top_logprobs=vocabulary, cache_prompt=False)
        if "logprobs" not in reply["choices"][0]:
            return {}
        first = reply["choices"][0]["logprobs"]["content"][0]
        return {entry["id"]: entry["logprob"] for entry in first["top_logprobs"]}
