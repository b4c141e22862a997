// The best items for users of a factor model.
#pragma once

#include <span>
#include <vector>

#include "core/device_buffer.h"
#include "models/factorization/factor_model.h"

namespace sartor {

// Lists of k items a user, best first; a user with fewer items left has -1 in the rest.
struct RankedItems {
  int64_t k = 0;
  std::vector<int32_t> items;  // (users, k) indices of the model
  std::vector<float> scores;   // (users, k)

  std::span<const int32_t> of(int64_t user) const { return std::span(items).subspan(user * k, k); }
};

// Ranks by   score(u, i) = <user_u, item_i> + prior_i
//   prior_i = item_bias_i                                   where popularity_weight is 0: the order of the predicted
//   ratings prior_i = popularity_weight log(1 + item_count_i)       otherwise
// The second is there because ratings are not missing at random (Marlin and Zemel 2009): what few chose to rate, few
// will choose next, however much those few liked it.
class FactorRanker {
 public:
  // offered: ascending indices of the items that may be recommended; empty for all. Copies them to the context.
  FactorRanker(cuda::Context& context, const FactorModel& model, std::vector<int32_t> offered = {});

  int64_t offered() const { return item_rows_.rows; }

  // users     (n, f) on the host
  // excluded  n ascending lists of item indices on the host, or rows = 0 for none
  // k         1 .. offered()
  RankedItems rank(cuda::Rows<const float> users, const cuda::IdLists& excluded, int64_t k);

 private:
  cuda::Context& context_;
  std::vector<int32_t> offered_;   // model's index of each row, empty for all
  std::vector<int32_t> position_;  // row of each model's index, -1 for none; empty for all
  cuda::DeviceBuffer<float> items_, prior_;
  cuda::Rows<const float> item_rows_;
};

}  // namespace sartor
