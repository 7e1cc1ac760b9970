namespace Isthmus.Bench.Proxies;

/// <summary>TLS handshakes of the proxy as a server that asks for certificates.</summary>
internal static class HandshakeBench
{
    /// <param name="before">The repository of another build to compare with. Null: other programs.</param>
    internal static async Task RunFullAsync(string root, string? before)
    {
        Console.WriteLine(
            "full TLS 1.3 handshakes with certificates of both sides (ECDSA P-256), a new connection each, with one HTTP/1.0 request, no session tickets");
        Comparison.Conclude(await RunAsync(root, before, resume: false, _ => { }));
    }

    internal static async Task RunResumedAsync(string root)
    {
        Console.WriteLine("TLS 1.3 handshakes that resume a session where the server allows it, a new connection each, with one HTTP/1.0 request");
        var resumed = new Dictionary<Contender, double>();
        var ratio = await RunAsync(root, null, resume: true, result => resumed[result.Contender] = result.Resumed);
        foreach (var (contender, part) in resumed)
            Console.WriteLine(
                $"{contender.Name}: {part:0%} of the handshakes resumed a "
                    + $"session{(part == 0 ? ": all handshakes were full, although its peers resumed" : "")}");
        if (resumed.Values.Skip(1).Any(part => part < 0.9)) throw new InvalidOperationException("a peer did not resume sessions: it proves nothing");
        Comparison.Conclude(ratio);
    }

    private static async Task<double> RunAsync(string root, string? before, bool resume, Action<(Contender Contender, double Resumed)> observe)
    {
        await using var rig = new ProxyRig(root);
        var wiring = new Wiring(await Nginx.StartServerAsync(rig, new(""))) { TlsFromClients = true, Tickets = resume };
        Contender[] contenders = before is null
            ? [await OwnProxy.StartAsync(rig, wiring), await Nginx.StartAsync(rig, wiring), await Haproxy.StartAsync(rig, wiring),
                .. await Envoy.StartAsync(rig, wiring)]
            : await OwnProxy.StartBuildsAsync(rig, wiring, before, OwnProxy.StartAsync);
        return await new Comparison("handshakes") { WarmUp = TimeSpan.FromSeconds(1), Rounds = Comparison.RoundsBeside(before) }.RunAsync(contenders,
            async (contender, duration) =>
            {
                var (result, resumed) = await WebLoad.HandshakesAsync(contender.Port, rig.Credentials, resume, duration);
                observe((contender, resumed));
                return result;
            });
    }
}
