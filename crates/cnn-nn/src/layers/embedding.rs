use crate::spec::EmbeddingSpec;
use crate::{At, Grads, NnError, Parameters, Request, Role, Unary};
use cnn_ops::Embedding as Operation;
use cnn_tensor::{Shape, Tensor};

/// A row of the table `weight [num_embeddings, embedding_dim]` for each index; see [`cnn_ops::embedding`].
#[derive(Debug)]
pub(super) struct Embedding {
    operation: Operation,
    weight: Tensor,
}

impl Embedding {
    pub fn build(spec: EmbeddingSpec, x: Shape, parameters: &mut Parameters<'_>) -> Result<Self, NnError> {
        let EmbeddingSpec { num_embeddings, embedding_dim, padding_idx, init } = spec;
        let (operation, shape) = (Operation { padding_idx }, Shape::from([num_embeddings, embedding_dim]));
        operation.output_shape(x, shape)?;
        let request = Request { shape, init, fan_in: embedding_dim, fan_out: num_embeddings };
        let weight = parameters.request_with("weight", request, &|weight| {
            if let Some(row) = padding_idx {
                weight.data_mut()[row * embedding_dim..][..embedding_dim].fill(0.0);
            }
        })?;
        Ok(Self { operation, weight })
    }
}

impl Unary for Embedding {
    /// The indices.
    type Saved = Tensor;

    fn kind(&self) -> &'static str {
        "embedding"
    }

    fn output_shape(&self, x: Shape) -> Result<Shape, NnError> {
        Ok(self.operation.output_shape(x, self.weight.shape())?)
    }

    fn forward(&self, x: Tensor, _: At) -> Result<(Tensor, Tensor), NnError> {
        Ok((self.operation.forward(&x, &self.weight)?, x))
    }

    /// Indices have no gradient.
    fn backward(&self, x: Tensor, dy: Tensor, grads: &mut Grads<'_>) -> Result<Option<Tensor>, NnError> {
        self.operation.backward(&x, &dy, grads.of(0))?;
        Ok(None)
    }

    fn visit<'a>(&'a self, f: &mut dyn FnMut(&str, Role, &'a Tensor)) {
        f("weight", Role::Parameter, &self.weight);
    }

    fn visit_mut<'a>(&'a mut self, f: &mut dyn FnMut(&str, Role, &'a mut Tensor)) {
        f("weight", Role::Parameter, &mut self.weight);
    }
}
