"""OpenVINO's side of `cargo xtask bench --against openvino`: its CPU plugin in 32 bits, for latency or for throughput, with
the input handed over each time or left where it is."""

import peer

try:
    import onnx_nets
    import openvino
except ImportError as error:
    peer.refuse(error)

CORE = openvino.Core()


def request(net, x, batch, hint):
    options = {
        "INFERENCE_NUM_THREADS": peer.THREADS,
        "PERFORMANCE_HINT": hint,
        "NUM_STREAMS": 1,
        # Where the CPU has instructions for bfloat16, these would be used.
        "INFERENCE_PRECISION_HINT": "f32",
    }
    compiled = CORE.compile_model(CORE.read_model(net(batch)), "CPU", options)
    return compiled.create_infer_request(), onnx_nets.images(batch, x)


def shared(net, x, batch, hint):
    run, images = request(net, x, batch, hint)
    return lambda: run.infer([images], share_inputs=True, share_outputs=True)


def bound(net, x, batch, hint):
    run, images = request(net, x, batch, hint)
    run.set_input_tensor(openvino.Tensor(images, shared_memory=True))

    def work(images=images):
        run.start_async()
        run.wait()

    return work


MODES = {
    "latency": (shared, "LATENCY"),
    "latency, bound": (bound, "LATENCY"),
    "throughput, bound": (bound, "THROUGHPUT"),
}
WORKS = {
    name: {
        mode: lambda batch, prepare=prepare, hint=hint, net=net, x=x: prepare(net, x, batch, hint)
        for mode, (prepare, hint) in MODES.items()
    }
    for name, (net, x) in onnx_nets.INFERENCE.items()
}

if __name__ == "__main__":
    peer.serve(f"OpenVINO {openvino.__version__}", WORKS)
