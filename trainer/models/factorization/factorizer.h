// A model of users and items that trains, of any algorithm.
#pragma once

#include <cstdint>
#include <filesystem>
#include <memory>

#include "models/factorization/trained_model.h"

namespace sartor {

// Made of a config, the prepared data and the context that it trains on, which outlive it.
class Factorizer {
 public:
  virtual ~Factorizer() = default;

  virtual int64_t epochs() const = 0;  // that the config asks for; 1 where the solution is found at once
  virtual void train_epoch() = 0;      // done on return, on a GPU too

  // A copy on the host that scores, without ids. Its seen items are those of training where it scores by them, else
  // none. Throws std::runtime_error where the model is no longer finite.
  virtual std::unique_ptr<TrainedModel> model() const = 0;

  // The state of training, in files of a folder that exists. save() throws as model() does, load()
  // std::invalid_argument for the state of another shape.
  virtual void save(const std::filesystem::path& folder) const = 0;
  virtual void load(const std::filesystem::path& folder) = 0;
};

}  // namespace sartor
