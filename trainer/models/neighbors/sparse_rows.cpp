#include "models/neighbors/sparse_rows.h"

namespace sartor {

UserRatings read_all(const datasets::StoredRatings& ratings) {
  UserRatings all = {ratings.offsets(), std::vector<int32_t>(ratings.size()), std::vector<float>(ratings.size())};
  ratings.read(0, ratings.rows(), all.items, all.values);
  return all;
}

UserRatings transposed(const UserRatings& rows, int64_t columns) {
  UserRatings turned = {std::vector<int64_t>(columns + 1), std::vector<int32_t>(rows.items.size()),
                        std::vector<float>(rows.items.size())};
  for (const int32_t column : rows.items) turned.offsets[column + 1]++;
  for (int64_t column = 0; column < columns; column++) turned.offsets[column + 1] += turned.offsets[column];
  std::vector<int64_t> next(turned.offsets.begin(), turned.offsets.end() - 1);
  for (int64_t row = 0; row < rows.users(); row++) {
    for_row(rows, row, [&](int64_t at) {
      const int64_t to = next[rows.items[at]]++;
      turned.items[to] = static_cast<int32_t>(row);
      turned.values[to] = rows.values[at];
    });
  }
  return turned;
}

}  // namespace sartor
