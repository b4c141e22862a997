// A truncated singular value decomposition of the ratings, which can fold in new users.
#pragma once

#include <array>
#include <vector>

#include "models/factorization/factor_model.h"
#include "schema/fields.h"

namespace sartor {

// What stands for a missing rating and is subtracted from all ratings before the decomposition.
enum class SvdMissing { zero, user_mean, item_mean, baseline };
constexpr auto choices(SvdMissing) {
  return std::to_array<Choice<SvdMissing>>({{"zero", SvdMissing::zero},
                                            {"user_mean", SvdMissing::user_mean},
                                            {"item_mean", SvdMissing::item_mean},
                                            {"baseline", SvdMissing::baseline}});
}

// rating(u, i) = mean + user_bias_u + item_bias_i + <user_u, item_i>, where the first three are what is subtracted.
// With the item's weight w_i, item_i = v_i / w_i and user_u = sum over rated i of (rating_ui - subtracted) w_i v_i.
struct SvdModel : FactorModel {
  SvdMissing missing = SvdMissing::zero;
  double shrinkage = 0;                // of baseline biases
  std::vector<float> singular_values;  // (f) descending
  std::vector<float> item_weight;      // (I) w, above 0

  SvdModel() { algorithm = "svd"; }

  // Bias of a user with these ratings, of items `rated`. mean, item_bias and shrinkage must be set.
  float bias_of(std::span<const int32_t> rated, std::span<const float> ratings) const;
  // Factors by the formula above: those of the training for the same ratings.
  std::vector<float> fold_in(cuda::Context& context, const UserRatings& ratings) const override;
  std::string cannot_fold_in() const override { return ""; }

 protected:
  void write_learned(datasets::Hdf5File& file) const override;
  void read_learned(const datasets::Hdf5File& file) override;
};

}  // namespace sartor
