// Interface of factorization algorithms in training.
#pragma once

#include <cstdint>
#include <filesystem>
#include <memory>
#include <vector>

#include "metrics/metric.h"
#include "models/factorization/trained_model.h"

namespace sartor {

// Constructed from a config, the prepared data, and the context to train on; both must outlive it. With several ranks,
// each has one, and all make the same calls, except save() and model(), which may be called on some ranks only.
class Factorizer {
 public:
  virtual ~Factorizer() = default;

  virtual int64_t epochs() const = 0;  // configured number of epochs; 1 for non-iterative algorithms
  virtual void train_epoch() = 0;      // blocking, also on a GPU

  // Metrics of the last epoch on the training ratings, such as rmse; empty if it computes none.
  virtual std::vector<Metric> training_metrics() const { return {}; }

  // A copy of the model on the host, without ids. Contains the seen items of the training data if the model needs them
  // for scoring, otherwise none. Throws std::runtime_error if the model is not finite.
  virtual std::unique_ptr<TrainedModel> model() const = 0;

  // Saves and loads the training state in files of an existing folder. save() throws like model(); load() throws
  // std::invalid_argument if shapes differ.
  virtual void save(const std::filesystem::path& folder) const = 0;
  virtual void load(const std::filesystem::path& folder) = 0;
};

}  // namespace sartor
