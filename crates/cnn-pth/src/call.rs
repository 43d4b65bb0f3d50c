//! The functions and types of Python that a pickle of tensors names. None is called: values stand for their results.

use crate::Element;

/// A function or type that is known.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Global {
    OrderedDict,
    Size,
    Device,
    /// `_rebuild_tensor(storage, offset, size, stride)`.
    RebuildTensor,
    /// `_rebuild_tensor_v2(storage, offset, size, stride, requires_grad, hooks)`.
    RebuildTensorV2,
    /// `_rebuild_tensor_v3(storage, offset, size, stride, requires_grad, hooks, dtype)`.
    RebuildTensorV3,
    /// `_rebuild_parameter(tensor, requires_grad, hooks)`.
    RebuildParameter,
    /// A type of storage; `None`: one of bytes.
    Storage(Option<Element>),
    /// `torch.float32` and the like.
    Element(Element),
}

impl Global {
    /// The function or type of that module and name, if it is known.
    pub fn named(module: &str, name: &str) -> Option<Self> {
        Some(match (module, name) {
            ("collections", "OrderedDict") => Self::OrderedDict,
            ("torch", "Size") => Self::Size,
            ("torch", "device") => Self::Device,
            ("torch._utils", "_rebuild_tensor") => Self::RebuildTensor,
            ("torch._utils", "_rebuild_tensor_v2") => Self::RebuildTensorV2,
            ("torch._utils", "_rebuild_tensor_v3") => Self::RebuildTensorV3,
            ("torch._utils", "_rebuild_parameter") => Self::RebuildParameter,
            ("torch" | "torch.cuda", "DoubleStorage") => Self::Storage(Some(Element::F64)),
            ("torch" | "torch.cuda", "FloatStorage") => Self::Storage(Some(Element::F32)),
            ("torch" | "torch.cuda", "HalfStorage") => Self::Storage(Some(Element::F16)),
            ("torch" | "torch.cuda", "BFloat16Storage") => Self::Storage(Some(Element::BF16)),
            ("torch" | "torch.cuda", "LongStorage") => Self::Storage(Some(Element::I64)),
            ("torch" | "torch.cuda", "IntStorage") => Self::Storage(Some(Element::I32)),
            ("torch" | "torch.cuda", "ShortStorage") => Self::Storage(Some(Element::I16)),
            ("torch" | "torch.cuda", "CharStorage") => Self::Storage(Some(Element::I8)),
            ("torch" | "torch.cuda", "ByteStorage") => Self::Storage(Some(Element::U8)),
            ("torch" | "torch.cuda", "BoolStorage") => Self::Storage(Some(Element::Bool)),
            ("torch" | "torch.storage", "UntypedStorage") => Self::Storage(None),
            ("torch", "float64" | "double") => Self::Element(Element::F64),
            ("torch", "float32" | "float") => Self::Element(Element::F32),
            ("torch", "float16" | "half") => Self::Element(Element::F16),
            ("torch", "bfloat16") => Self::Element(Element::BF16),
            ("torch", "int64" | "long") => Self::Element(Element::I64),
            ("torch", "int32" | "int") => Self::Element(Element::I32),
            ("torch", "int16" | "short") => Self::Element(Element::I16),
            ("torch", "int8") => Self::Element(Element::I8),
            ("torch", "uint8") => Self::Element(Element::U8),
            ("torch", "bool") => Self::Element(Element::Bool),
            _ => return None,
        })
    }
}
