// The factorization algorithms that are built in.
#pragma once

#include "models/factorization/algorithm_table.h"
#include "models/factorization/als/als.h"
#include "models/factorization/als/ials.h"
#include "models/factorization/bayesian/bpmf.h"
#include "models/factorization/decomposition/nmf.h"
#include "models/factorization/decomposition/svd.h"
#include "models/factorization/gradient/sgd.h"
#include "models/factorization/gradient/svdpp.h"
#include "models/factorization/ranking/bpr.h"
#include "models/factorization/ranking/simplex.h"
#include "models/filters/ease.h"
#include "models/filters/elsa.h"
#include "models/filters/gfcf.h"
#include "models/filters/item_graph.h"
#include "models/neighbors/neighbors.h"

namespace sartor {

// clang-format off
using FactorizationAlgorithms = AlgorithmTable<
    Als,
    Ials,
    Bpmf,
    Sgd,
    Svdpp,
    Nmf,
    Svd,
    Bpr,
    Simplex,
    ItemKnn,
    UserKnn,
    Gfcf,
    Turbocf,
    Rp3beta,
    Ease,
    Elsa>;
// clang-format on

}  // namespace sartor
