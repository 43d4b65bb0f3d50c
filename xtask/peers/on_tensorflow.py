"""TensorFlow's side of `cargo xtask bench --against tensorflow`: tf.function on the CPU, with XLA or without; of the two, the
fastest is kept. Images are in TensorFlow's own layout, channels last."""

import os

import peer

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
# Nobody else's device.
os.environ["CUDA_VISIBLE_DEVICES"] = "-1"

try:
    import tensorflow as tf
except ImportError as error:
    peer.refuse(error)

tf.config.threading.set_intra_op_parallelism_threads(peer.THREADS)
tf.config.threading.set_inter_op_parallelism_threads(1)


class Net:
    """Layers with weights of their own."""

    def __init__(self):
        self.variables = []

    def variable(self, shape, fan_in):
        self.variables.append(tf.Variable(tf.random.normal(shape, stddev=(2 / fan_in) ** 0.5)))
        return self.variables[-1]

    def conv(self, c_in, c_out, kernel, stride=1, padding=0):
        weight = self.variable([kernel, kernel, c_in, c_out], c_in * kernel * kernel)
        bias = self.variable([c_out], c_out)
        pads = [[0, 0], [padding, padding], [padding, padding], [0, 0]]
        # What TensorFlow knows by name it does faster than what it must be told in numbers.
        pads = "VALID" if padding == 0 else "SAME" if stride == 1 and 2 * padding == kernel - 1 else pads
        return lambda x, training: tf.nn.relu(
            tf.nn.bias_add(tf.nn.conv2d(x, weight, strides=stride, padding=pads), bias)
        )

    def linear(self, inputs, outputs, relu=True):
        weight, bias = self.variable([inputs, outputs], inputs), self.variable([outputs], outputs)
        after = tf.nn.relu if relu else tf.identity
        return lambda x, training: after(tf.nn.bias_add(tf.matmul(x, weight), bias))

    def pool(self, kernel, stride):
        return lambda x, training: tf.nn.max_pool2d(x, kernel, stride, "VALID")

    def flatten(self):
        return lambda x, training: tf.reshape(x, [x.shape[0], -1])

    def dropout(self):
        return lambda x, training: tf.nn.dropout(x, 0.5) if training else x

    def __call__(self, x, training):
        for layer in self.layers:
            x = layer(x, training)
        return x


class LeNet(Net):
    x, classes = (28, 28, 1), 10

    def __init__(self):
        super().__init__()
        self.layers = [
            self.conv(1, 6, 5, padding=2), self.pool(2, 2),
            self.conv(6, 16, 5), self.pool(2, 2),
            self.flatten(),
            self.linear(400, 120), self.linear(120, 84), self.linear(84, 10, relu=False),
        ]  # fmt: skip


class Mlp(Net):
    x, classes = (28, 28, 1), 10

    def __init__(self):
        super().__init__()
        self.layers = [self.flatten(), self.linear(784, 200), self.linear(200, 10, relu=False)]


class AlexNet(Net):
    """Of a single tower."""

    x, classes = (224, 224, 3), 1000

    def __init__(self):
        super().__init__()
        self.layers = [
            self.conv(3, 64, 11, stride=4, padding=2), self.pool(3, 2),
            self.conv(64, 192, 5, padding=2), self.pool(3, 2),
            self.conv(192, 384, 3, padding=1), self.conv(384, 256, 3, padding=1),
            self.conv(256, 256, 3, padding=1), self.pool(3, 2),
            self.flatten(),
            self.dropout(), self.linear(9216, 4096),
            self.dropout(), self.linear(4096, 4096),
            self.linear(4096, 1000, relu=False),
        ]  # fmt: skip


MODES = {"tf.function": False, "XLA": True}


def training(build):
    """One step: forward, loss, backward, SGD with momentum."""

    def step(batch, xla):
        net = build()
        memories = [tf.Variable(tf.zeros_like(variable)) for variable in net.variables]
        x, labels = tf.random.normal([batch, *net.x]), tf.range(batch) % net.classes

        @tf.function(jit_compile=xla)
        def step(x, labels):
            with tf.GradientTape() as tape:
                losses = tf.nn.sparse_softmax_cross_entropy_with_logits(labels, net(x, training=True))
                loss = tf.reduce_mean(losses)
            for variable, memory, gradient in zip(net.variables, memories, tape.gradient(loss, net.variables)):
                # The same rate as ours: the net hardly changes, so that the last step costs what the first one did.
                tf.raw_ops.ResourceApplyMomentum(
                    var=variable.handle, accum=memory.handle, lr=1e-6, grad=gradient, momentum=0.9
                )
            return loss

        return lambda: step(x, labels)

    return {mode: lambda batch, xla=xla: step(batch, xla) for mode, xla in MODES.items()}


def inference(build):
    def forward(batch, xla):
        net = build()
        x = tf.random.normal([batch, *net.x])
        forward = tf.function(lambda x: net(x, training=False), jit_compile=xla)
        forward = forward.get_concrete_function(x)
        return lambda: forward(x)

    return {mode: lambda batch, xla=xla: forward(batch, xla) for mode, xla in MODES.items()}


# The names are those of src/bench/works.
WORKS = {
    "lenet training": training(LeNet),
    "lenet inference": inference(LeNet),
    "mlp training": training(Mlp),
    "alexnet training": training(AlexNet),
    "alexnet inference": inference(AlexNet),
}

if __name__ == "__main__":
    peer.serve(f"TensorFlow {tf.__version__}", WORKS)
