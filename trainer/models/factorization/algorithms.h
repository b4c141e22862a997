// The factorization algorithms that are built in.
#pragma once

#include "models/factorization/algorithm_table.h"
#include "models/factorization/als.h"

namespace sartor {

using FactorizationAlgorithms = AlgorithmTable<Als>;

}  // namespace sartor
