#include "resume/start.h"

#include "resume/record.h"
#include "schema/log.h"

namespace sartor {

Claim claim_of(const Start& start, const std::filesystem::path& record, const std::filesystem::path& name) {
  const bool restarted = start.launch.restarts > 0 && std::filesystem::exists(record);
  if (restarted && last_launch(read_record(record)) == start.launch.id) {
    log_info("restarted by torchrun: resuming {}", name.string());
    return Claim::resume;
  }
  return start.resume ? Claim::resume : start.overwrite ? Claim::overwrite : Claim::fresh;
}

}  // namespace sartor
