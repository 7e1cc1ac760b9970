
namespace Isthmus.Proxy.Telemetry;

/// <summary>When an open connection or call is counted again. Its owner guards it.</summary>
internal struct ReportPeriod(MetricRules? rules)
{
    /// <summary>Istio's default (<c>tcp_reporting_duration</c>).</summary>
    internal const int DefaultSeconds = 5;

    private readonly int _seconds = rules?.ReportingSeconds ?? DefaultSeconds;
    private int _passed;

    /// <summary>Called once a second.</summary>
    public bool IsOver()
    {
        if (++_passed < _seconds || _seconds == 0) return false;
        _passed = 0;
        return true;
    }
}
