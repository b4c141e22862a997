#include "models/clustering/scaling.h"

#include <algorithm>
#include <cmath>

#include "base/require.h"
#include "models/factorization/model_file.h"
#include "schema/messages.h"

namespace sartor {

std::vector<double> column_means(cuda::Rows<const float> rows) {
  std::vector<double> means(rows.columns);
  for (int64_t r = 0; r < rows.rows; r++) {
    for (int64_t c = 0; c < rows.columns; c++) means[c] += static_cast<double>(rows.row(r)[c]);
  }
  for (double& mean : means) mean /= static_cast<double>(std::max<int64_t>(rows.rows, 1));
  return means;
}

Scaling Scaling::fitted(ScalingKind kind, cuda::Rows<const float> rows) {
  Scaling scaling = {kind};
  if (kind != ScalingKind::standard) return scaling;
  scaling.mean = column_means(rows);
  scaling.deviation.assign(rows.columns, 0);
  for (int64_t r = 0; r < rows.rows; r++) {
    for (int64_t c = 0; c < rows.columns; c++) scaling.deviation[c] += std::pow(rows.row(r)[c] - scaling.mean[c], 2);
  }
  for (double& each : scaling.deviation) {
    each = std::sqrt(each / static_cast<double>(std::max<int64_t>(rows.rows, 1)));
    if (each == 0) each = 1;
  }
  return scaling;
}

void Scaling::apply(cuda::Rows<float> rows) const {
  for (int64_t r = 0; r < rows.rows; r++) {
    float* row = rows.row(r);
    double squares = 0;
    for (int64_t c = 0; c < rows.columns; c++) squares += static_cast<double>(row[c]) * row[c];
    const double norm = squares > 0 ? std::sqrt(squares) : 1;
    for (int64_t c = 0; c < rows.columns; c++) {
      if (kind == ScalingKind::standard) row[c] = static_cast<float>((row[c] - mean[c]) / deviation[c]);
      if (kind == ScalingKind::unit) row[c] = static_cast<float>(row[c] / norm);
    }
  }
}

void Scaling::write(datasets::Hdf5File& file) const {
  file.set_attribute("scaling", std::string(name_of(kind)));
  if (kind != ScalingKind::standard) return;
  write_list(file, "/scaling/mean", mean);
  write_list(file, "/scaling/deviation", deviation);
}

Scaling Scaling::read(const datasets::Hdf5File& file, int64_t columns) {
  const std::string name = file.string_attribute("scaling");
  const auto names = names_of(Among<ScalingKind>());
  require(std::ranges::count(names, name) == 1, "{}: scaling is {}, expected {}", file.path().string(), shown(name),
          either(names));
  Scaling scaling = {value_of<ScalingKind>(name)};
  if (scaling.kind != ScalingKind::standard) return scaling;
  scaling.mean = read_list<double>(file, "/scaling/mean", columns);
  scaling.deviation = read_list<double>(file, "/scaling/deviation", columns);
  for (int64_t c = 0; c < columns; c++) {
    require(std::isfinite(scaling.mean[c]) && scaling.deviation[c] > 0 && std::isfinite(scaling.deviation[c]),
            "{}: scaling of column {} is {} and {}, expected finite numbers, the second above 0", file.path().string(),
            c, scaling.mean[c], scaling.deviation[c]);
  }
  return scaling;
}

}  // namespace sartor
