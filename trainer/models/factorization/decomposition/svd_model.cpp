#include "models/factorization/decomposition/svd_model.h"

#include <algorithm>

#include "base/require.h"
#include "models/factorization/model_file.h"
#include "schema/messages.h"

namespace sartor {

using datasets::Hdf5File;

float SvdModel::bias_of(std::span<const int32_t> rated, std::span<const float> ratings) const {
  if (missing == SvdMissing::zero || missing == SvdMissing::item_mean || rated.empty()) return 0;
  double sum = 0;
  for (size_t at = 0; at < rated.size(); at++) sum += ratings[at] - mean - item_bias[rated[at]];
  return static_cast<float>(sum / (static_cast<double>(rated.size()) + shrinkage));
}

std::vector<float> SvdModel::fold_in(cuda::Context&, const UserRatings& ratings) const {
  std::vector<float> folded(ratings.users() * factors);
  for (int64_t user = 0; user < ratings.users(); user++) {
    const int64_t begin = ratings.offsets[user], count = ratings.offsets[user + 1] - begin;
    const float bias =
        bias_of(std::span(ratings.items).subspan(begin, count), std::span(ratings.values).subspan(begin, count));
    for (int64_t at = begin; at < begin + count; at++) {
      const int32_t item = ratings.items[at];
      const auto rest = static_cast<float>(ratings.values[at] - mean - bias - item_bias[item]);
      const float weight = item_weight[item] * item_weight[item] * rest;  // item_rows() has v / w
      for (int64_t f = 0; f < factors; f++) folded[user * factors + f] += weight * item_rows().row(item)[f];
    }
  }
  return folded;
}

void SvdModel::write_learned(Hdf5File& file) const {
  FactorModel::write_learned(file);
  file.set_attribute("missing", std::string(name_of(missing)));
  file.set_attribute("shrinkage", shrinkage);
  write_list(file, "singular_values", singular_values);
  write_list(file, "items/weight", item_weight);
}

void SvdModel::read_learned(const Hdf5File& file) {
  FactorModel::read_learned(file);
  const std::string text = file.string_attribute("missing");
  const auto names = names_of(Among<SvdMissing>());
  require(factors > 0, "{}: has no factors", file.path().string());
  require(std::ranges::find(names, text) != names.end(), "{}: missing is {}, expected {}", file.path().string(),
          shown(text), either(names));
  missing = value_of<SvdMissing>(text);
  shrinkage = file.double_attribute("shrinkage");
  singular_values = read_finite(file, "singular_values", factors);
  item_weight = read_finite(file, "items/weight", item_rows().rows);
}

}  // namespace sartor
