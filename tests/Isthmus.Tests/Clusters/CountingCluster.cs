using System.Collections.Concurrent;
using Isthmus.Kubernetes.Client;

namespace Isthmus.Tests.Clusters;

/// <summary>A cluster with an installation that has no control plane, which counts what is asked.</summary>
internal sealed class CountingCluster(string name = "here") : ClusterStandIn
{
    private readonly ConcurrentBag<string> _asked = [];

    /// <summary>The end of the path of the list that the user may not read.</summary>
    public string Refused { get; init; } = "";

    /// <summary>The path of the list that the cluster does not answer the first time.</summary>
    public string Fails { get; init; } = "";

    /// <summary>Answers by path; other lists are empty.</summary>
    public IReadOnlyDictionary<string, string> Answers { get; init; } = new Dictionary<string, string>();

    /// <summary>Whether lists with a selector are refused, too.</summary>
    public bool WithSelector { get; init; } = true;

    public ClusterAccess Access => new() { Name = name, Server = new($"https://{name}.test"), StandIn = this };

    public IEnumerable<string> Asked => _asked;

    /// <summary>What was listed more than once, with its selector. Pages are asked for one by one, but there is only one here.</summary>
    public IEnumerable<string> ListedTwice => _asked.Where(IsList).CountBy(asked => asked).Where(asked => asked.Value > 1).Select(asked => asked.Key);

    public override DateTimeOffset TakenAt => DateTimeOffset.UnixEpoch;

    /// <summary>How often all objects of a kind were listed.</summary>
    public int Lists(string path) => _asked.Count(asked => asked.Split('?')[0] == path && !Selects(asked));

    public override StandInAnswer Ask(string path)
    {
        _asked.Add(path);
        var plain = path.Split('?')[0];
        if (plain == Fails && Lists(Fails) == 1 && !Selects(path)) throw new HttpRequestException("nobody answers");
        var isRefused = Refused.Length > 0 && plain.EndsWith(Refused, StringComparison.Ordinal) && (WithSelector || !Selects(path));
        return isRefused ? StandInAnswer.Refused(403, "Forbidden", "forbidden by test")
            : plain == "/api/v1/namespaces/istio-system"
            ? StandInAnswer.Ok("""{"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "istio-system"}}""")
            : Answers.TryGetValue(plain, out var answer) ? StandInAnswer.Ok(answer)
            : IsList(path) ? StandInAnswer.Ok("""{"kind": "List", "apiVersion": "v1", "metadata": {"resourceVersion": "1"}, "items": []}""")
            : StandInAnswer.Refused(404, "NotFound", "not found");
    }

    public override StandInAnswer AskPod(string ns, string pod, int port, PodRequest request) => throw new HttpRequestException("nobody answers");

    /// <summary>The plurals of all kinds end so, and the names of what is looked for do not.</summary>
    private static bool IsList(string path) => path.Split('?')[0].EndsWith('s');

    private static bool Selects(string path) => path.Contains("elector=", StringComparison.Ordinal);
}
