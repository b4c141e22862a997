// A trained model on the host, of any algorithm: what evaluation and inference ask.
#pragma once

#include <cstdint>
#include <filesystem>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "core/context.h"
#include "models/factorization/scorer.h"
#include "storage/hdf5_file.h"
#include "storage/id_map.h"

namespace sartor {

// The members are what every algorithm leaves behind; a derived class adds what it has learnt, and how that scores.
struct TrainedModel {
  std::string algorithm;                           // its name in a config; empty for a baseline, which is never saved
  datasets::IdMap users{"users"}, items{"items"};  // (U), (I); empty while a model is only evaluated
  double rating_min = 0, rating_max = 0;           // of the data; predictions are clipped to them
  std::vector<int64_t> item_count;                 // (I) training interactions: the popularity
  std::vector<int64_t> seen_offsets;               // (U + 1) into seen_items
  std::vector<int32_t> seen_items;                 // what each user has rated, ascending
  std::vector<float> seen_ratings;                 // of seen_items; empty where the file was written without them
  std::string data_hash;

  TrainedModel() = default;
  TrainedModel(const TrainedModel&) = default;
  TrainedModel(TrainedModel&&) = default;
  TrainedModel& operator=(const TrainedModel&) = default;
  TrainedModel& operator=(TrainedModel&&) = default;
  virtual ~TrainedModel() = default;

  std::span<const int32_t> seen_by(int64_t user) const {
    return std::span(seen_items).subspan(seen_offsets[user], seen_offsets[user + 1] - seen_offsets[user]);
  }

  // False for a user of whom training has learnt nothing.
  virtual bool knows(int64_t user) const = 0;

  // Predicted ratings of users first, first + 1, ... for the items that `pairs` lists for each, clipped, in that order.
  // Empty where the model ranks without predicting ratings.
  virtual std::vector<double> predict(int64_t first, const UserRatings& pairs) const = 0;

  // Ranks items on the context's device; the model must outlive it. offered: ascending indices of the items that lists
  // may have; empty for all.
  virtual std::unique_ptr<Scorer> scorer(cuda::Context& context, std::vector<int32_t> offered) const = 0;

  // Why users cannot be scored by their ratings alone; empty where they can.
  virtual std::string cannot_fold_in() const = 0;

  // Vectors of all items or users that can be compared. They are moved out of the model, which cannot score
  // afterwards. Without columns where the model has none.
  struct Vectors {
    std::vector<float> values;
    int64_t columns = 0;
  };
  virtual Vectors take_item_vectors() { return {}; }
  virtual Vectors take_user_vectors() { return {}; }

  // Writes FOLDER/factors.h5.
  void save(const std::filesystem::path& folder) const;

  // The contents of such a file. Throws std::invalid_argument that names the file and what is wrong with it: sizes that
  // do not fit together, indices out of range, values that are not finite.
  void read(const datasets::Hdf5File& file);

 protected:
  // What the derived class adds to the file.
  virtual void write_learnt(datasets::Hdf5File& file) const = 0;
  virtual void read_learnt(const datasets::Hdf5File& file) = 0;
};

// Opens a factors.h5, or that of a run folder. Throws std::invalid_argument for a file of another schema.
datasets::Hdf5File open_model_file(const std::filesystem::path& path_or_run);

// The algorithm that made it: als for files that do not say so, from before there were others.
std::string algorithm_of(const datasets::Hdf5File& file);

}  // namespace sartor
