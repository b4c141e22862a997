// calibration.json in a classifier's folder: the temperature that divides logits before softmax or sigmoid.
// transformers ignores it and returns the logits unscaled.
//
//   {"temperature": 1.62, "rows": 360}
#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>

namespace sartor::hf {

// rows: number of validation rows that the temperature was fitted on.
void write_calibration(const std::filesystem::path& folder, double temperature, int64_t rows);

// Returns the temperature, or std::nullopt if the folder has no such file. Throws std::invalid_argument if the file is
// invalid or the temperature is not a number above 0.
std::optional<double> read_temperature(const std::filesystem::path& folder);

}  // namespace sartor::hf
