using System.Diagnostics;
using Isthmus.Rigs.Proxy;
using Isthmus.Testing;
using Xunit;

namespace Isthmus.Tests.Proxy.Traffic;

/// <summary>Delays that a fault filter injects.</summary>
public sealed class FaultDelayTests
{
    private static CancellationToken Stop => TestContext.Current.CancellationToken;

    /// <summary>Whoever measures a call with a clock of their own must never see less than the configured delay.</summary>
    [Fact]
    public async Task A_request_waits_for_all_of_its_delay_even_if_timers_fire_early()
    {
        const string fault =
            """
            {"name": "envoy.filters.http.fault", "typed_config": {"@type": "type.googleapis.com/envoy.extensions.filters.http.fault.v3.HTTPFault",
              "delay": {"fixed_delay": "0.2s", "percentage": {"numerator": 100} } } },
            """;
        using var proxy = new LoopbackProxy([], """ "direct_response": {"status": 200} """, fault, time: new EarlyTimers());
        using var client = new HttpClient();
        // The first call takes longer in any case.
        for (var call = 0; call < 3; call++)
        {
            var begun = Stopwatch.GetTimestamp();
            using var response = await client.GetAsync(new Uri($"http://127.0.0.1:{proxy.Port}/"), Stop);
            Assert.True(Stopwatch.GetElapsedTime(begun) >= TimeSpan.FromMilliseconds(200));
            Assert.Equal(200, (int)response.StatusCode);
        }
    }
}
