// Scaling of vectors before they are clustered.
#pragma once

#include <array>
#include <cstdint>
#include <vector>

#include "core/views.h"
#include "schema/fields.h"
#include "storage/hdf5_file.h"

namespace sartor {

enum class ScalingKind { none, standard, unit };
constexpr auto choices(ScalingKind) {
  return std::to_array<Choice<ScalingKind>>(
      {{"none", ScalingKind::none}, {"standard", ScalingKind::standard}, {"unit", ScalingKind::unit}});
}

// standard: each column minus its mean, divided by its standard deviation, if that is not 0. unit: each row divided by
// its norm, if that is not 0.
struct Scaling {
  ScalingKind kind = ScalingKind::none;
  std::vector<double> mean, deviation;  // by column; empty unless the kind is standard

  // The scaling of a matrix (N, d).
  static Scaling fitted(ScalingKind kind, cuda::Rows<const float> rows);
  void apply(cuda::Rows<float> rows) const;

  void write(datasets::Hdf5File& file) const;
  static Scaling read(const datasets::Hdf5File& file, int64_t columns);
};

// Means of the columns.
std::vector<double> column_means(cuda::Rows<const float> rows);

}  // namespace sartor
