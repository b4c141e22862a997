#include "models/neighbors/neighbors_model.h"

#include <algorithm>

#include "base/require.h"
#include "models/factorization/model_file.h"
#include "models/neighbors/neighbors_scorer.h"
#include "models/neighbors/voting.h"
#include "schema/messages.h"

namespace sartor {
namespace {

using datasets::Hdf5File;

template <Enum E> void write_choice(Hdf5File& file, const std::string& name, E value) {
  file.set_attribute(name, std::string(name_of(value)));
}

template <Enum E> void read_choice(const Hdf5File& file, const std::string& name, E& value) {
  const std::string text = file.string_attribute(name);
  const auto names = names_of(Among<E>());
  require(std::ranges::find(names, text) != names.end(), "{}: {} is {}, expected {}", file.path().string(), name,
          shown(text), either(names));
  value = value_of<E>(text);
}

int64_t count_attribute(const Hdf5File& file, const std::string& name, int64_t least) {
  const int64_t count = file.int_attribute(name);
  require(count >= least, "{}: {} is {}, expected {} or more", file.path().string(), name, count, least);
  return count;
}

}  // namespace

// The ratings of an item count for the items whose lists it is in, those of a user are asked for by the user: only one
// of the two has to be turned around.
void NeighborsModel::connect() {
  const bool own = rule.direction == NeighborDirection::own;
  links_ = own == by_user ? lists : transposed(lists);
  amplify(links_, rule.amplification);
}

std::vector<double> NeighborsModel::predict(int64_t first, const UserRatings& pairs) const {
  std::vector<double> ratings;
  if (!rule.predicts_ratings()) return ratings;
  Voting voting(*this);
  for (int64_t user = 0; user < pairs.users(); user++) {
    if (pairs.offsets[user] == pairs.offsets[user + 1]) continue;
    voting.count(Voter::known(*this, first + user));
    for (int64_t at = pairs.offsets[user]; at < pairs.offsets[user + 1]; at++) {
      ratings.push_back(std::clamp(voting.score(pairs.items[at]), rating_min, rating_max));
    }
  }
  return ratings;
}

std::unique_ptr<Scorer> NeighborsModel::scorer(cuda::Context& context, ScorerOptions options) const {
  return std::make_unique<NeighborsScorer>(context, *this, std::move(options));
}

std::string NeighborsModel::cannot_fold_in() const {
  if (!by_user || values.similarity != NeighborSimilarity::given) return "";
  return "a model of algorithm user_knn with given similarities cannot fold in new users";
}

void NeighborsModel::write_learned(Hdf5File& file) const {
  write_lists(file, lists);
  write_choice(file, "prediction", rule.prediction);
  write_choice(file, "direction", rule.direction);
  file.set_attribute("k", rule.k.value_or(0));
  file.set_attribute("min_neighbors", rule.min_neighbors);
  file.set_attribute("amplification", rule.amplification);
  write_choice(file, "similarity", values.similarity);
  write_choice(file, "missing", values.missing);
  write_choice(file, "weights", values.weights);
  file.set_attribute("bm25_k1", values.bm25_k1);
  file.set_attribute("bm25_b", values.bm25_b);
  file.set_attribute("min_support", values.min_support);
  file.set_attribute("shrinkage", values.shrinkage);
  file.set_attribute("keep_negative", int64_t{values.keep_negative});
  file.set_attribute("most_neighbors", most_neighbors);
  file.set_attribute("mean", baseline.mean);
  file.set_attribute("user_regularization", user_regularization);
  write_list(file, "users/bias", baseline.user_bias);
  write_list(file, "items/bias", baseline.item_bias);
  write_list(file, "neighbors/means", means);
}

void NeighborsModel::read_learned(const Hdf5File& file) {
  const int64_t rows = by_user ? user_total() : item_total();
  require(seen_ratings.size() == seen_items.size(), "{}: has no ratings of the seen items", file.path().string());
  lists = read_lists(file, rows);
  read_choice(file, "prediction", rule.prediction);
  read_choice(file, "direction", rule.direction);
  const int64_t k = count_attribute(file, "k", 0);
  if (k > 0) rule.k = k;
  rule.min_neighbors = count_attribute(file, "min_neighbors", 1);
  rule.amplification = file.double_attribute("amplification");
  read_choice(file, "similarity", values.similarity);
  read_choice(file, "missing", values.missing);
  read_choice(file, "weights", values.weights);
  values.bm25_k1 = file.double_attribute("bm25_k1");
  values.bm25_b = file.double_attribute("bm25_b");
  values.min_support = count_attribute(file, "min_support", 1);
  values.shrinkage = file.double_attribute("shrinkage");
  values.keep_negative = file.int_attribute("keep_negative") != 0;
  most_neighbors = count_attribute(file, "most_neighbors", 1);
  baseline.mean = file.double_attribute("mean");
  user_regularization = file.double_attribute("user_regularization");
  baseline.user_bias = read_finite(file, "users/bias", user_total());
  baseline.item_bias = read_finite(file, "items/bias", item_total());
  means = read_finite(file, "neighbors/means", rows);
  connect();
}

}  // namespace sartor
