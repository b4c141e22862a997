// Attention over packed rows on accelerators, by libtorch's fused kernels with cumulative lengths.
#pragma once

#include <ATen/core/Tensor.h>

#include "models/transformer/ops/attention.h"

namespace sartor::transformer {

// attend() of AttentionKind::packed on an accelerator: no padded batch and no (queries, keys) array, in the forward and
// the backward pass. bf16 with heads of up to 256 columns uses FlashAttention 2 (Dao 2023), everything else the
// memory-efficient kernel (Rabe and Staats 2021), which computes in fp32 what is of fp32 and copies the keys and values
// of shared heads. Both require heads of a multiple of 16 bytes; others are padded with zeros, which costs a copy of
// queries, keys, values and results. Rows may be strided, such as parts of a fused projection. Dropout draws from the
// device's generator.
at::Tensor varlen_attention(const AttentionRequest& request);

}  // namespace sartor::transformer
