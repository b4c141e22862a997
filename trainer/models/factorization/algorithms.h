// The algorithms that factorize knows.
#pragma once

#include "models/factorization/algorithm_table.h"
#include "models/factorization/als.h"

namespace sartor {

using FactorizationAlgorithms = AlgorithmTable<Als>;

}  // namespace sartor
