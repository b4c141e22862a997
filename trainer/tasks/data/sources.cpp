#include "tasks/data/sources.h"

#include <filesystem>
#include <nlohmann/json.hpp>

#include "storage/sha256.h"

namespace sartor {

nlohmann::ordered_json describe_files(const std::vector<std::string>& files) {
  auto described = nlohmann::ordered_json::array();
  for (const auto& file : files) {
    described.push_back(
        {{"path", file}, {"bytes", std::filesystem::file_size(file)}, {"sha256", datasets::sha256_file(file)}});
  }
  return described;
}

std::string data_hash(const nlohmann::ordered_json& files, const std::string& treatment) {
  std::string text;
  for (const auto& file : files) text += file["sha256"].get<std::string>() + "\n";
  return datasets::sha256(text + treatment);
}

}  // namespace sartor
