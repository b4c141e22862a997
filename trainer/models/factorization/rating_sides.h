// Training ratings of the users and items that a rank solves.
#pragma once

#include "core/context.h"
#include "models/factorization/row_shares.h"
#include "runtime/collective.h"
#include "storage/prepared.h"

namespace sartor {

// A side with this rank's share of the rows (als_cost of `width` factors), all their ratings, and factors of 0.
FactorSide read_side(cuda::Context& context, Collective& ranks, const datasets::StoredRatings& ratings, int64_t width);

// Mean of all training ratings, added up in the order of the users. Throws std::invalid_argument if there are none.
double mean_rating(const datasets::Prepared& data);

// Number of ratings of each row.
std::vector<int64_t> row_counts(const datasets::StoredRatings& ratings);

}  // namespace sartor
