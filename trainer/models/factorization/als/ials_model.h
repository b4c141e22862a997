// A model trained by implicit alternating least squares, which can fold in new users and items.
#pragma once

#include <array>
#include <optional>

#include "factorization/implicit/implicit.h"
#include "models/factorization/factor_model.h"
#include "schema/fields.h"

namespace sartor::cuda {

constexpr auto choices(ImplicitObjective) {
  return std::to_array<Choice<ImplicitObjective>>(
      {{"ials", ImplicitObjective::ials}, {"hu_koren", ImplicitObjective::hu_koren}});
}
constexpr auto choices(ImplicitSolver) {
  return std::to_array<Choice<ImplicitSolver>>(
      {{"cg", ImplicitSolver::cg}, {"cholesky", ImplicitSolver::cholesky}, {"block", ImplicitSolver::block}});
}

}  // namespace sartor::cuda

namespace sartor {

enum class EventWeight { counts, binary, log };
constexpr auto choices(EventWeight) {
  return std::to_array<Choice<EventWeight>>(
      {{"counts", EventWeight::counts}, {"binary", EventWeight::binary}, {"log", EventWeight::log}});
}

// How ratings become the values v of implicit_update.
struct EventWeights {
  EventWeight kind = EventWeight::counts;
  float epsilon = 1;
  std::optional<float> threshold;

  bool counts(float rating) const { return !threshold || rating >= *threshold; }
  bool takes(float rating) const { return kind == EventWeight::binary || rating >= 0; }
  float of(float rating) const;  // v: rating, 1, or log(1 + rating / epsilon)

  // Only the ratings that count, weighted. Throws std::invalid_argument if one of them cannot be taken.
  UserRatings of(const UserRatings& ratings) const;
};

// Without biases: rating(u, i) = <user_u, item_i> is a preference, not a rating.
struct IalsModel : FactorModel {
  EventWeights weights;
  cuda::ImplicitParams solver;  // parameters of the training

  IalsModel() { algorithm = "ials"; }

  // Solves users exactly for fixed items. Users without ratings that count become 0.
  std::vector<float> fold_in(cuda::Context& context, const UserRatings& ratings) const override;
  // The same for items, from lists of the users who chose them.
  std::vector<float> fold_in_items(cuda::Context& context, const UserRatings& ratings) const;
  FoldIn folding(cuda::Context& context) const override;
  std::string cannot_fold_in() const override { return ""; }
  std::string cannot_fold_in_items() const override { return ""; }
  std::vector<double> predict(int64_t, const UserRatings&) const override { return {}; }

 protected:
  void learn_items(cuda::Context& context, const UserRatings& ratings) override;
  void write_learned(datasets::Hdf5File& file) const override;
  void read_learned(const datasets::Hdf5File& file) override;
};

}  // namespace sartor
