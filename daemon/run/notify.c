/*
 * notify.node: one datagram to systemd's notification socket (sd_notify(3)), which Node has no
 * means to send. `send(socket, text)` returns 0 or errno. It never waits: the event loop is worth
 * more than a message. An address that begins with @ is of the abstract kind (unix(7)).
 */

#include <errno.h>
#include <node_api.h>
#include <stddef.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

static int notify(struct sockaddr_un *address, size_t length, const char *text, size_t size) {
  int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
  if (fd < 0) return errno;
  socklen_t whole = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + length);
  if (address->sun_path[0] == '@') address->sun_path[0] = '\0';
  ssize_t sent =
      sendto(fd, text, size, MSG_DONTWAIT | MSG_NOSIGNAL, (struct sockaddr *)address, whole);
  int result = sent < 0 ? errno : 0;
  close(fd);
  return result;
}

static napi_value send_message(napi_env env, napi_callback_info info) {
  napi_value arguments[2], result;
  size_t count = 2, length = 0, size = 0;
  struct sockaddr_un address = {.sun_family = AF_UNIX};
  char text[4096];
  int error = EINVAL;
  if (napi_get_cb_info(env, info, &count, arguments, NULL, NULL) == napi_ok && count == 2 &&
      napi_get_value_string_utf8(env, arguments[0], address.sun_path, sizeof address.sun_path,
                                 &length) == napi_ok &&
      napi_get_value_string_utf8(env, arguments[1], text, sizeof text, &size) == napi_ok &&
      length > 0)
    error = notify(&address, length, text, size);
  return napi_create_int32(env, error, &result) == napi_ok ? result : NULL;
}

NAPI_MODULE_INIT() {
  napi_value function;
  if (napi_create_function(env, "send", NAPI_AUTO_LENGTH, send_message, NULL, &function) !=
          napi_ok ||
      napi_set_named_property(env, exports, "send", function) != napi_ok)
    return NULL;
  return exports;
}
