// Sparse matrices of ratings on the host.
#pragma once

#include "core/views.h"
#include "models/factorization/scorer.h"
#include "storage/prepared.h"

namespace sartor {

// All ratings of a part of the prepared file.
UserRatings read_all(const datasets::StoredRatings& ratings);

// The transpose of a matrix with this number of columns.
UserRatings transposed(const UserRatings& rows, int64_t columns);

inline cuda::Csr<const float> view_of(const UserRatings& rows) {
  return {rows.users(), rows.offsets.data(), rows.items.data(), rows.values.data()};
}

// Calls use(index) for the entries of a row.
template <class Use> void for_row(const UserRatings& rows, int64_t row, Use use) {
  for (int64_t at = rows.offsets[row]; at < rows.offsets[row + 1]; at++) use(at);
}

}  // namespace sartor
