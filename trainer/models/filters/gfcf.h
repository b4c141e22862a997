// Graph filters without training: GF-CF (Shen et al. 2021) and ChebyCF (Kim et al. 2025).
#pragma once

#include <vector>

#include "core/context.h"
#include "models/factorization/factorizer.h"
#include "models/filters/history_model.h"
#include "schema/fields.h"
#include "storage/prepared.h"

namespace sartor {

enum class GraphFilter { linear, plateau };
constexpr auto choices(GraphFilter) {
  return std::to_array<Choice<GraphFilter>>({{"linear", GraphFilter::linear}, {"plateau", GraphFilter::plateau}});
}

struct GfcfConfig {
  GraphFilter filter = GraphFilter::linear;
  int64_t order = 8;
  double flatness = 1.5;
  double degree_power = 0;
  int64_t factors = 256;
  double ideal_weight = 0.3;
  double ideal_degree_power = 0.5;
  int64_t iterations = 10;
  int64_t seed = 42;

  template <class Fields> void describe(Fields& field) {
    field("filter", filter,
          "Function h of the similarity P of items, whose eigenvalues are 0 to 1. linear: h(P) = P, from items to the "
          "items of the same users (GF-CF, Shen et al. 2021). plateau: an increasing function that is flat in the "
          "middle, interpolated by a Chebyshev polynomial (ChebyCF, Kim et al. 2025).");
    field("order", order, between(1, 1000), "Degree of the polynomial of filter: plateau.");
    field("flatness", flatness, above(0),
          "Shape of filter: plateau: (1 + sign(x) |x|^flatness) / 2 for eigenvalue (1 + x) / 2. 1: linear; higher: "
          "flatter.");
    field("degree_power", degree_power, between(0, 2),
          "Items with n users are divided by n^degree_power before h(P) and multiplied by it after.");
    field("factors", factors, between(0, 65536),
          "Number of leading eigenvectors of P that the ideal low-pass filter lets pass. 0: none is computed.");
    field("ideal_weight", ideal_weight, between(0, 1e6), "Weight of the ideal low-pass filter.");
    field("ideal_degree_power", ideal_degree_power, between(0, 2), "The same as degree_power for the ideal filter.");
    field("iterations", iterations, at_least(1), "Subspace iterations that compute the eigenvectors.");
    field("seed", seed, at_least(0), "Seed of the vectors from which the iterations start.");
  }
};

// scores of history r = D^p h(P) D^-p r + ideal_weight D^q V V^T D^-q r
//
//   P = R^T R of the normalized interactions R (interaction_graph.h with powers 1/2), D: numbers of users of the items
//   V (I, k): leading eigenvectors of P,  p: degree_power,  q: ideal_degree_power
//
// Trains and scores on any device; scores of GPUs differ from those of CPUs by the rounding of sums in fp32.
struct GfcfModel : HistoryModel {
  GfcfConfig config;
  std::vector<float> vectors;          // (I, k)
  std::vector<float> singular_values;  // (k) of R

  GfcfModel() { algorithm = "gfcf"; }
  int64_t factors() const { return std::ssize(singular_values); }
  std::vector<float> coefficients() const;  // of the Chebyshev polynomials of 1 - 2 P

  std::unique_ptr<ItemScores> item_scores(cuda::Context& context) const override;
  Vectors take_item_vectors() override { return {std::move(vectors), factors()}; }

 protected:
  void write_learned(datasets::Hdf5File& file) const override;
  void read_learned(const datasets::Hdf5File& file) override;
};

class Gfcf : public Factorizer {
 public:
  static constexpr std::string_view name = "gfcf";
  using Config = GfcfConfig;
  using Model = GfcfModel;

  // Throws std::invalid_argument if there are no ratings, or fewer users or items than factors.
  Gfcf(const GfcfConfig& config, const datasets::Prepared& data, cuda::Context& context);

  int64_t epochs() const override { return 1; }
  void train_epoch() override;  // computes the eigenvectors
  std::unique_ptr<TrainedModel> model() const override { return std::make_unique<GfcfModel>(model_); }

  // FOLDER/state.h5: the eigenvectors.
  void save(const std::filesystem::path& folder) const override;
  void load(const std::filesystem::path& folder) override;

 private:
  cuda::Context& context_;
  GfcfModel model_;
};

}  // namespace sartor
