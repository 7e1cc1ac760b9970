using Isthmus.Core.Problems;
using Microsoft.Extensions.Logging;

namespace Isthmus.ControlPlane.Push;

/// <summary>Logs what proxies ask for and cannot get: once for each problem, and again when it is solved. Not thread-safe.</summary>
internal sealed partial class ProxyProblems(ILogger log)
{
    private HashSet<Problem> _told = [];

    public void Tell(IEnumerable<ProxyFeed> proxies)
    {
        var now = new HashSet<Problem>();
        foreach (var proxy in proxies)
            foreach (var problem in proxy.Problems) now.Add(problem);
        foreach (var problem in now.Where(problem => !_told.Contains(problem))) Found(log, problem);
        foreach (var problem in _told.Where(problem => !now.Contains(problem))) Gone(log, problem.Object, problem.Path);
        _told = now;
    }

    [LoggerMessage(Level = LogLevel.Warning, Message = "{Problem}; other servers are not affected")]
    private static partial void Found(ILogger log, Problem problem);

    [LoggerMessage(Level = LogLevel.Information, Message = "{Object} {Path}: no connected gateway reports a problem anymore")]
    private static partial void Gone(ILogger log, string @object, string path);
}
