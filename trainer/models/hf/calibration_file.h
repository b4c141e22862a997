// calibration.json beside a classifier's weights: what its logits are divided by before they become probabilities.
// transformers does not read it, and its logits stay what they are.
//
//   {"temperature": 1.62, "rows": 360}
#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>

namespace sartor::hf {

// rows: validation rows that it was fitted on.
void write_calibration(const std::filesystem::path& folder, double temperature, int64_t rows);

// The temperature; none where the folder has no such file. Throws std::invalid_argument where the file is broken or the
// temperature is not a number above 0.
std::optional<double> read_temperature(const std::filesystem::path& folder);

}  // namespace sartor::hf
