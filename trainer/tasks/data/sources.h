// Provenance of prepared and tokenized data.
#pragma once

#include <nlohmann/json_fwd.hpp>
#include <string>
#include <vector>

namespace sartor {

// [{"path": ..., "bytes": ..., "sha256": ...}, ...]. Reads each file once.
nlohmann::ordered_json describe_files(const std::vector<std::string>& files);

// SHA-256 of the files' contents and of `treatment`, the config that is applied to them. Independent of the paths.
std::string data_hash(const nlohmann::ordered_json& files, const std::string& treatment);

}  // namespace sartor
