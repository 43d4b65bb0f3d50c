"""onnxruntime's side of `cargo xtask bench --against onnxruntime`: its CPU provider with the options that it has by default but
for the number of threads; results bound to memory of their own, or not."""

import peer

try:
    import onnx_nets
    import onnxruntime
except ImportError as error:
    peer.refuse(error)


def session(net, x, batch):
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = peer.THREADS
    options.inter_op_num_threads = 1
    session = onnxruntime.InferenceSession(net(batch), options, providers=["CPUExecutionProvider"])
    return session, onnx_nets.images(batch, x)


def plain(net, x, batch):
    run, images = session(net, x, batch)
    return lambda: run.run(None, {"x": images})


def bound(net, x, batch):
    run, images = session(net, x, batch)
    binding = run.io_binding()
    binding.bind_ortvalue_input("x", onnxruntime.OrtValue.ortvalue_from_numpy(images))
    y = run.run(None, {"x": images})[0]
    binding.bind_ortvalue_output(run.get_outputs()[0].name, onnxruntime.OrtValue.ortvalue_from_numpy(y))
    return lambda: run.run_with_iobinding(binding)


MODES = {"plain": plain, "bound": bound}
WORKS = {
    name: {mode: lambda batch, prepare=prepare, net=net, x=x: prepare(net, x, batch) for mode, prepare in MODES.items()}
    for name, (net, x) in onnx_nets.INFERENCE.items()
}

if __name__ == "__main__":
    peer.serve(f"onnxruntime {onnxruntime.__version__}", WORKS)
