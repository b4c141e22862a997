// The factorization algorithms that are built in.
#pragma once

#include "models/factorization/algorithm_table.h"
#include "models/factorization/als.h"
#include "models/factorization/ials.h"

namespace sartor {

using FactorizationAlgorithms = AlgorithmTable<Als, Ials>;

}  // namespace sartor
