#include "models/hf/calibration_file.h"

#include <cmath>

#include "base/require.h"
#include "models/hf/json.h"
#include "storage/atomic_file.h"

namespace sartor::hf {
namespace {

constexpr const char* name = "calibration.json";

}  // namespace

void write_calibration(const std::filesystem::path& folder, double temperature, int64_t rows) {
  const nlohmann::ordered_json json = {{"temperature", temperature}, {"rows", rows}};
  datasets::write_file(folder / name, json.dump(2) + "\n");
}

std::optional<double> read_temperature(const std::filesystem::path& folder) {
  const auto path = folder / name;
  if (!std::filesystem::exists(path)) return {};
  const auto json = read_json(path);
  const bool given = json.is_object() && json.contains("temperature") && json["temperature"].is_number();
  const double temperature = given ? json["temperature"].get<double>() : 0;
  require(std::isfinite(temperature) && temperature > 0, "{}: expected temperature, a number above 0", path.string());
  return temperature;
}

}  // namespace sartor::hf
