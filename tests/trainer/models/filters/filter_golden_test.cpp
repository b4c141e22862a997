// Weights of RP3beta in comparison with those of irspack. scripts/golden/rp3beta.py writes the golden file.
#include <gmock/gmock.h>

#include <fstream>
#include <nlohmann/json.hpp>

#include "filters_support.h"
#include "support/paths.h"

namespace sartor {
namespace {

using testing::FiltersTest;

TEST_F(FiltersTest, Rp3betaEqualsIrspack) {
  const auto golden = nlohmann::json::parse(std::ifstream(testing::source_path("tests/golden/rp3beta.json")));
  const int64_t number = golden["items"];
  testing::MadeRatings source(golden["users"], number, [&](int64_t cell) {
    return golden["interactions"][cell] == 1 ? std::optional(3.0f) : std::nullopt;
  });
  datasets::write_prepared(path("prepared.h5"), datasets::collect(source, {}, folder_), {.test = 0, .seed = 3},
                           {"{}", "hash"});
  for (const auto& expected : golden["cases"]) {
    const auto trained = train<Rp3beta>(path("prepared.h5"), {.alpha = 1, .beta = expected["beta"], .neighbors = 0});
    const SparseMatrix& weights = dynamic_cast<const ItemGraphModel&>(*trained).weights;
    std::vector<double> found(number * number);
    for (int64_t item = 0; item < number; item++) {
      for (int64_t at = weights.offsets[item]; at < weights.offsets[item + 1]; at++) {
        found[item * number + weights.columns[at]] = weights.values[at];
      }
    }
    for (int64_t cell = 0; cell < number * number; cell++) {
      const bool itself = cell / number == cell % number;  // counts for items that the user has, which nobody ranks
      const double value = itself ? 0 : expected["weights"][cell].get<double>();
      ASSERT_NEAR(found[cell], value, 1e-6 * value) << "beta " << expected["beta"] << ", cell " << cell;
    }
  }
}

}  // namespace
}  // namespace sartor
