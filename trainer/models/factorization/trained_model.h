// Interface of trained models for evaluation and inference, on the host.
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

// What explains a model's scores: items that the user rated, or other users.
enum class Reasons { none, items, users };

// The members are common to all algorithms; derived classes add their parameters and scoring.
struct TrainedModel {
  std::string algorithm;                           // name in configs; empty for a baseline, which is never saved
  datasets::IdMap users{"users"}, items{"items"};  // (U), (I); empty if the model is only evaluated
  double rating_min = 0, rating_max = 0;           // range of the ratings; predictions are clipped to it
  std::vector<int64_t> item_count;                 // (I) number of training interactions (popularity)
  std::vector<int64_t> seen_offsets;               // (U + 1) offsets in seen_items
  std::vector<int32_t> seen_items;                 // items that each user has rated, ascending
  std::vector<float> seen_ratings;                 // ratings of seen_items; empty if the file has none
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

  // Whether the model has learned anything about the user.
  virtual bool knows(int64_t user) const = 0;

  // Predicted ratings, clipped, for the items that `pairs` lists for users first, first + 1, ..., in the order of
  // `pairs`. Empty if the model does not predict ratings.
  virtual std::vector<double> predict(int64_t first, const UserRatings& pairs) const = 0;

  // Standard deviations of the predicted ratings of items for a user of the model, as far as the model is uncertain of
  // their means. Only if the model is Bayesian.
  virtual bool has_spread() const { return false; }
  virtual std::vector<double> spread(int64_t, std::span<const int32_t>) const { return {}; }

  // Creates a scorer on the context's device; the model must outlive it.
  virtual std::unique_ptr<Scorer> scorer(cuda::Context& context, ScorerOptions options) const = 0;

  // Estimate of the device memory of a scorer that offers `items` items; 0 if it needs little or the model cannot tell.
  virtual int64_t scorer_bytes(cuda::Context&, int64_t /*items*/, cuda::TopkPrecision) const { return 0; }

  // Reason why the model cannot fold in users; empty if it can.
  virtual std::string cannot_fold_in() const = 0;

  // Reason why the model cannot fold in items; empty if it can.
  virtual std::string cannot_fold_in_items() const;

  // Adds items to the model that it was not trained on. What it learns about them follows from their ratings by users
  // of the model: row i of `ratings` lists the users who rated item ids[i], where `items` of UserRatings are users.
  // These users have seen the items from then on. Throws std::invalid_argument if cannot_fold_in_items() is not empty
  // or an id is not new.
  void add_items(cuda::Context& context, const std::vector<std::string>& ids, const UserRatings& ratings);

  // Whether its scorers explain scores, and by what.
  virtual Reasons reasons() const { return Reasons::none; }

  // Vectors of all items or users, for similarity search. Moved out of the model, which cannot score afterwards.
  // columns is 0 if the model has none.
  struct Vectors {
    std::vector<float> values;
    int64_t columns = 0;
  };
  virtual Vectors take_item_vectors() { return {}; }
  virtual Vectors take_user_vectors() { return {}; }

  // Writes FOLDER/factors.h5.
  void save(const std::filesystem::path& folder) const;

  // Reads such a file. Throws std::invalid_argument with the file name if sizes do not match, indices are out of range,
  // or values are not finite.
  void read(const datasets::Hdf5File& file);

 protected:
  // Appends parameters of new items, computed for those of the users. Models that can fold in items override it.
  virtual void learn_items(cuda::Context& context, const UserRatings& ratings);

  // Parameters of the derived class in the file.
  virtual void write_learned(datasets::Hdf5File& file) const = 0;
  virtual void read_learned(const datasets::Hdf5File& file) = 0;
};

// Opens a factors.h5 file or that of a run folder. Throws std::invalid_argument if the schema differs.
datasets::Hdf5File open_model_file(const std::filesystem::path& path_or_run);

// The algorithm of the model: als for files of older versions, which do not contain it.
std::string algorithm_of(const datasets::Hdf5File& file);

}  // namespace sartor
