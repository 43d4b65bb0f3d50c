//! Published networks as plain descriptions: one paper, one file, with its citation and table of parameters.
//!
//! A network here is a [`ModelSpec`](cnn_nn::ModelSpec): print it, change it, save it, build it.
//!
//! | network | for | parameters | paper |
//! |---|---|---|---|
//! | [`linear`](fn@linear), [`mlp`] | any image | 7,850, 159,010 for MNIST | |
//! | [`lenet5`], [`lenet5_tanh`] | MNIST | 61,706 | LeCun et al. 1998 |
//! | [`lenet5_1998`] | MNIST | 60,000 | LeCun et al. 1998, to the letter |
//! | [`cuda_convnet_quick`] | CIFAR-10 | 145,578 | Krizhevsky 2012, Jia et al. 2014 |
//! | [`airbench94`], [`airbench_small`] | CIFAR-10 | 1,972,792, 387,384 | Jordan 2024 |
//! | [`alexnet`](fn@alexnet) | ImageNet | 61,100,840 | Krizhevsky 2014 |
//! | [`alexnet_2012`] | ImageNet | 60,965,224 | Krizhevsky et al. 2012, to the letter |
//! | [`zfnet`](fn@zfnet) | ImageNet | 62,357,608 | Zeiler and Fergus 2014 |
//! | [`vgg11`], [`vgg13`], [`vgg16`], [`vgg19`] | ImageNet | 132,863,336 to 143,667,240 | Simonyan and Zisserman 2015 |
//! | [`vgg11_bn`], [`vgg13_bn`], [`vgg16_bn`], [`vgg19_bn`] | ImageNet | 132,868,840 to 143,678,248 | the same, with batch normalisation |
//! | [`nin`](fn@nin) | CIFAR-10 | 966,986 | Lin et al. 2014 |
//! | [`all_cnn`](fn@all_cnn) | CIFAR-10 | 1,369,738 | Springenberg et al. 2015 |
//! | [`googlenet`](fn@googlenet) | ImageNet | 6,624,904 | Szegedy et al. 2015 |
//! | [`googlenet_with_aux`] | training on ImageNet | 13,004,888 | Szegedy et al. 2015 |
//! | [`inception_v3`] | ImageNet | 23,834,568 | Szegedy et al. 2016 |
//! | [`inception_v3_with_aux`] | training on ImageNet | 27,161,264 | Szegedy et al. 2016 |
//! | [`resnet18`], [`resnet34`] | ImageNet | 11,689,512, 21,797,672 | He et al. 2016 |
//! | [`resnet50`], [`resnet101`], [`resnet152`] | ImageNet | 25,557,032, 44,549,160, 60,192,808 | He et al. 2016 |
//! | [`resnet20`], [`resnet32`], [`resnet44`], [`resnet56`], [`resnet110`] | CIFAR-10 | 269,722 to 1,727,962 | He et al. 2016 |
//! | [`wide_resnet50_2`] | ImageNet | 68,883,240 | Zagoruyko and Komodakis 2016 |
//! | [`resnext50_32x4d`] | ImageNet | 25,028,904 | Xie et al. 2017 |
//! | [`se_resnet50`] | ImageNet | 28,088,024 | Hu et al. 2018 |
//! | [`densenet121`] | ImageNet | 7,978,856 | Huang et al. 2017 |
//! | [`squeezenet1_0`], [`squeezenet1_1`] | ImageNet | 1,248,424, 1,235,496 | Iandola et al. 2016 |
//! | [`mobilenet_v1`](fn@mobilenet_v1) | ImageNet | 4,231,976 | Howard et al. 2017 |
//! | [`mobilenet_v2`] | ImageNet | 3,504,872 | Sandler et al. 2018 |
//! | [`mobilenet_v3_large`], [`mobilenet_v3_small`] | ImageNet | 5,483,032, 2,542,856 | Howard et al. 2019 |
//! | [`shufflenet_v2_x1_0`] | ImageNet | 2,278,604 | Ma et al. 2018 |
//! | [`mnasnet1_0`] | ImageNet | 4,383,312 | Tan et al. 2019 |
//! | [`efficientnet_b0`] | ImageNet | 5,288,548 | Tan and Le 2019 |
//! | [`regnet_y_400mf`] | ImageNet | 4,344,144 | Radosavovic et al. 2020 |
//! | [`convnext_tiny`] | ImageNet | 28,589,128 | Liu et al. 2022 |
//! | [`unet`](fn@unet) | a class for each pixel | 31,030,658 | Ronneberger et al. 2015 |
//! | [`mtcnn`]: P-, R- and O-Net | finding faces | 6,632, 100,178, 389,040 | Zhang et al. 2016 |
//! | [`dqn_2013`], [`dqn_2015`] | Atari, six actions | 677,686, 1,687,206 | Mnih et al. 2013, 2015 |
//! | [`deep_pose`](fn@deep_pose) | joints of people | 58,396,060 | Toshev and Szegedy 2014 |
//! | [`pose_mobilenet_v2`], [`pose_alexnet`] | the same, on published trunks | 2,731,534, 2,996,046 | |
//! | [`ShowAndTell`] | sentences about photos | 4,807,120 for 1,280 features and 2,000 words | Vinyals et al. 2015 |
//!
//! [`NETWORKS`] lists them by name, each with the [`Recipe`] that trains it. [`load_weights`] loads published weights of the
//! networks for ImageNet and of the ResNets for CIFAR-10; [`load_trunk`] starts from them for other classes.
//!
//! The programs in the folder `examples` show the library from a tensor to a training loop of your own. A small one, which
//! prints LeNet-5's table:
//!
//! ```
//! use cnn_nn::{Input, Model};
//! let digits = (0..10).map(|digit| digit.to_string()).collect();
//! let lenet = Model::build(cnn_zoo::lenet5(Input::gray(28, 28, 0.1307, 0.3081), digits), 0)?;
//! println!("{}", lenet.summary());
//! assert_eq!(lenet.summary().parameters(), 61_706);
//! # Ok::<(), cnn_nn::NnError>(())
//! ```
#![forbid(unsafe_code)]

pub mod airbench;
pub mod alexnet;
pub mod all_cnn;
mod blocks;
pub mod convnext;
pub mod cuda_convnet;
pub mod dense;
pub mod densenet;
pub mod dqn;
pub mod efficientnet;
pub mod googlenet;
mod imagenet;
pub mod inception;
pub mod lenet;
pub mod mnasnet;
pub mod mobilenet;
pub mod mobilenet_v1;
pub mod mobilenet_v3;
pub mod mtcnn;
mod network;
pub mod nin;
pub mod pose;
mod recipe;
pub mod regnet;
pub mod resnet;
pub mod resnet_cifar;
pub mod resnext;
pub mod se_resnet;
pub mod show_and_tell;
pub mod shufflenet;
pub mod squeezenet;
#[cfg(test)]
mod testing;
pub mod unet;
pub mod vgg;
mod weights;
pub mod wide_resnet;
pub mod zfnet;

pub use airbench::{airbench_groups, airbench_small, airbench94};
pub use alexnet::{alexnet, alexnet_2012};
pub use all_cnn::all_cnn;
pub use convnext::convnext_tiny;
pub use cuda_convnet::cuda_convnet_quick;
pub use dense::{linear, mlp};
pub use densenet::densenet121;
pub use dqn::{dqn_2013, dqn_2015, dqn_input};
pub use efficientnet::efficientnet_b0;
pub use googlenet::{googlenet, googlenet_with_aux};
pub use imagenet::imagenet_input;
pub use inception::{inception_v3, inception_v3_with_aux};
pub use lenet::{lenet5, lenet5_1998, lenet5_tanh};
pub use mnasnet::mnasnet1_0;
pub use mobilenet::mobilenet_v2;
pub use mobilenet_v1::mobilenet_v1;
pub use mobilenet_v3::{mobilenet_v3_large, mobilenet_v3_small};
pub use network::{NETWORKS, Network, NetworkName, Takes};
pub use nin::nin;
pub use pose::{POSE_NETWORKS, deep_pose, pose_alexnet, pose_mobilenet_v2};
pub use recipe::{Images, OPTIMIZERS, OptimizerName, Prepare, Recipe};
pub use regnet::regnet_y_400mf;
pub use resnet::{resnet18, resnet34, resnet50, resnet101, resnet152};
pub use resnet_cifar::{resnet20, resnet32, resnet44, resnet56, resnet110};
pub use resnext::resnext50_32x4d;
pub use se_resnet::se_resnet50;
pub use show_and_tell::{ShowAndTell, Teller};
pub use shufflenet::shufflenet_v2_x1_0;
pub use squeezenet::{squeezenet1_0, squeezenet1_1};
pub use unet::unet;
pub use vgg::{vgg11, vgg11_bn, vgg13, vgg13_bn, vgg16, vgg16_bn, vgg19, vgg19_bn};
pub use weights::{Beginning, Rename, Weights, load_trunk, load_weights};
pub use wide_resnet::wide_resnet50_2;
pub use zfnet::zfnet;
