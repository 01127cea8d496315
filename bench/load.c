/*
 * load - asks a policy server as Postfix's smtpd processes do, and measures.
 *
 * Each connection has one request under way and sends the next when the answer is there (a closed
 * loop). Requests are END-OF-MESSAGE of authenticated mail, 29 attributes, each a message of its
 * own with one recipient. Latency is from send() to the recv() that completes the answer. Every
 * answer must be `action=dunno`, in any case. At the end nothing is left unanswered, so that the
 * server's counts can be compared with `answered`. One line of JSON goes to standard output.
 *
 *   load HOST PORT CONNECTIONS USERS WARMUP_SECONDS SECONDS RUN_NUMBER < ADDRESSES
 *
 * RUN_NUMBER (1 to 65535) makes messages of different runs different; ADDRESSES are lines.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define ANSWER_BYTES 512
#define PATIENCE_NS 10000000000ull

struct client {
  int fd;
  unsigned number;
  uint64_t sent_at; /* 0: nothing under way */
  size_t have;
  char answer[ANSWER_BYTES];
};

static char (*addresses)[46];
static size_t address_count;
static unsigned users, run_number;
static uint64_t asked, answered, bytes_asked;
static uint32_t *samples; /* latencies in ns */
static size_t sample_count, sample_room;
static uint64_t random_state;

static void die(const char *format, ...)
{
  va_list arguments;
  va_start(arguments, format);
  fputs("load: ", stderr);
  vfprintf(stderr, format, arguments);
  fputc('\n', stderr);
  va_end(arguments);
  exit(1);
}

static uint64_t now_ns(void)
{
  struct timespec at;
  clock_gettime(CLOCK_MONOTONIC, &at);
  return (uint64_t)at.tv_sec * 1000000000ull + (uint64_t)at.tv_nsec;
}

/* splitmix64 */
static uint64_t random_below(uint64_t limit)
{
  uint64_t z = (random_state += 0x9e3779b97f4a7c15ull);
  z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9ull;
  z = (z ^ (z >> 27)) * 0x94d049bb133111ebull;
  return (z ^ (z >> 31)) % limit;
}

static void read_addresses(void)
{
  char line[sizeof *addresses];
  size_t room = 0;
  while (fgets(line, sizeof line, stdin)) {
    line[strcspn(line, "\r\n")] = 0;
    if (!*line) continue;
    if (address_count == room) {
      room = room ? room * 2 : 256;
      addresses = realloc(addresses, room * sizeof *addresses);
      if (!addresses) die("out of memory");
    }
    snprintf(addresses[address_count++], sizeof *addresses, "%s", line);
  }
  if (!address_count) die("no addresses on standard input");
}

static void ask(struct client *c)
{
  char request[1024];
  unsigned user = (unsigned)random_below(users);
  const char *address = addresses[random_below(address_count)];
  int length = snprintf(request, sizeof request,
    "request=smtpd_access_policy\nprotocol_state=END-OF-MESSAGE\nprotocol_name=ESMTP\n"
    "client_address=%s\nclient_name=host-%05u.dynamic-ip.customers.pool.example.net\nclient_port=%u\n"
    "reverse_client_name=host-%05u.dynamic-ip.customers.pool.example.net\nserver_address=192.0.2.25\n"
    "server_port=587\nhelo_name=[192.168.178.%u]\nsender=user%05u@mail.example.org\nrecipient=\n"
    "recipient_count=1\nqueue_id=%08X%03X\ninstance=%x.%08x.%x.0\nsize=%u\netrn_domain=\n"
    "stress=\nsasl_method=PLAIN\nsasl_username=user%05u@mail.example.org\nsasl_sender=\n"
    "ccert_subject=\nccert_issuer=\nccert_fingerprint=\nccert_pubkey_fingerprint=\n"
    "encryption_protocol=TLSv1.3\nencryption_cipher=TLS_AES_256_GCM_SHA384\n"
    "encryption_keysize=256\npolicy_context=\n\n",
    address, user, 1024 + user % 60000, user, user % 250, user, (unsigned)asked, c->number, run_number,
    (unsigned)asked, c->number, (unsigned)random_below(200000) + 500, user);
  if (length <= 0 || (size_t)length >= sizeof request) die("the request does not fit");
  c->have = 0;
  c->sent_at = now_ns();
  if (send(c->fd, request, (size_t)length, MSG_NOSIGNAL) != length) die("send: %s", strerror(errno));
  asked++;
  bytes_asked += (uint64_t)length;
}

/* Takes what is there; true once the answer is whole. */
static int take(struct client *c)
{
  ssize_t got = recv(c->fd, c->answer + c->have, ANSWER_BYTES - 1 - c->have, 0);
  if (got == 0) die("the server closed a connection with a request under way");
  if (got < 0) {
    if (errno == EAGAIN || errno == EINTR) return 0;
    die("recv: %s", strerror(errno));
  }
  c->have += (size_t)got;
  c->answer[c->have] = 0;
  char *end = strstr(c->answer, "\n\n");
  if (!end) {
    if (c->have == ANSWER_BYTES - 1) die("an answer without end: %.60s", c->answer);
    return 0;
  }
  if (!c->sent_at || end + 2 != c->answer + c->have) die("more answers than requests");
  if (strcasecmp(c->answer, "action=dunno\n\n")) die("wrong answer: %s", c->answer);
  answered++;
  return 1;
}

static void add_sample(uint64_t ns)
{
  if (sample_count == sample_room) {
    sample_room = sample_room ? sample_room * 2 : 1 << 18;
    samples = realloc(samples, sample_room * sizeof *samples);
    if (!samples) die("out of memory");
  }
  samples[sample_count++] = ns > UINT32_MAX ? UINT32_MAX : (uint32_t)ns;
}

static int by_size(const void *a, const void *b)
{
  uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;
  return (x > y) - (x < y);
}

static double percentile(double part)
{
  return sample_count ? samples[(size_t)(part * (double)(sample_count - 1))] / 1000.0 : 0;
}

static struct client *connect_all(int poller, unsigned count, const char *host, const char *port)
{
  struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = htons((uint16_t)atoi(port))};
  struct client *clients = calloc(count, sizeof *clients);
  if (!clients) die("out of memory");
  if (inet_pton(AF_INET, host, &to.sin_addr) != 1) die("%s is no IPv4 address", host);
  for (unsigned i = 0; i < count; i++) {
    struct client *c = &clients[i];
    struct epoll_event event = {.events = EPOLLIN, .data.ptr = c};
    int on = 1;
    c->number = i;
    c->fd = socket(AF_INET, SOCK_STREAM, 0);
    if (c->fd < 0 || connect(c->fd, (struct sockaddr *)&to, sizeof to)) die("connect: %s", strerror(errno));
    setsockopt(c->fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    if (epoll_ctl(poller, EPOLL_CTL_ADD, c->fd, &event)) die("epoll_ctl: %s", strerror(errno));
    if (i % 100 == 99) {
      /* An answer to the last one: all are accepted. Of more than the backlog (Node's is 511) at
       * once, the rest would be silent for seconds. */
      ask(c);
      while (!take(c)) continue;
      c->sent_at = 0;
    }
  }
  return clients;
}

int main(int argc, char **argv)
{
  if (argc != 8) die("usage: load HOST PORT CONNECTIONS USERS WARMUP SECONDS RUN_NUMBER");
  unsigned count = (unsigned)atoi(argv[3]);
  double warmup = atof(argv[5]), seconds = atof(argv[6]);
  users = (unsigned)atoi(argv[4]);
  run_number = (unsigned)atoi(argv[7]);
  if (!count || !users || users > 10000000 || seconds <= 0) die("a number is out of range");
  random_state = run_number;
  read_addresses();

  int poller = epoll_create1(0);
  struct client *clients = connect_all(poller, count, argv[1], argv[2]);
  uint64_t measure_from = now_ns() + (uint64_t)(warmup * 1e9);
  uint64_t measure_to = measure_from + (uint64_t)(seconds * 1e9), now = 0;
  for (unsigned i = 0; i < count; i++) ask(&clients[i]);

  struct epoll_event events[256];
  while (answered < asked) {
    int ready = epoll_wait(poller, events, 256, 1000);
    now = now_ns();
    if (now > measure_to + PATIENCE_NS) die("%llu requests were never answered", (unsigned long long)(asked - answered));
    for (int i = 0; i < ready; i++) {
      struct client *c = events[i].data.ptr;
      if (!take(c)) continue;
      now = now_ns();
      if (now >= measure_from && now < measure_to) add_sample(now - c->sent_at);
      c->sent_at = 0;
      if (now < measure_to) ask(c);
    }
  }

  struct rusage usage;
  getrusage(RUSAGE_SELF, &usage);
  qsort(samples, sample_count, sizeof *samples, by_size);
  printf("{\"answered\":%llu,\"perSecond\":%.1f,\"p50\":%.1f,\"p99\":%.1f,\"max\":%.1f,"
    "\"requestBytes\":%.0f,\"cpuSeconds\":%.3f}\n",
    (unsigned long long)answered, (double)sample_count / seconds, percentile(0.5), percentile(0.99),
    percentile(1), (double)bytes_asked / (double)asked,
    (double)(usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) +
      (double)(usage.ru_utime.tv_usec + usage.ru_stime.tv_usec) / 1e6);
  return 0;
}
