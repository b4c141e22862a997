// Differentiable operations of transformers over packed sequences, one per file. Only these files distinguish between
// devices: on the CPU they use the kernels of cuda/transformer, elsewhere libtorch.
#pragma once

#include "models/transformer/ops/attention.h"
#include "models/transformer/ops/elementwise.h"
#include "models/transformer/ops/gated.h"
#include "models/transformer/ops/linear.h"
#include "models/transformer/ops/norm.h"
#include "models/transformer/ops/rotary.h"
#include "models/transformer/ops/token_loss.h"
