// The operations of transformers over packed sequences, a file for each, with their gradients. What differs between the
// CPU and other devices is in these files and nowhere else: on the CPU the loops of cuda/transformer and oneDNN,
// elsewhere what libtorch has.
#pragma once

#include "models/transformer/ops/attention.h"
#include "models/transformer/ops/elementwise.h"
#include "models/transformer/ops/linear.h"
#include "models/transformer/ops/norm.h"
