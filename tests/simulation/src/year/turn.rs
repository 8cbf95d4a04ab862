//! What is different in a week of the year.

/// What happens in a week, beside its game day.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Turn {
    /// Nothing.
    Quiet,
    /// The calendar is frozen.
    Frozen,
    /// Steadfast is paused.
    Paused,
    /// An episode is open.
    EpisodeOpen,
    /// A reader lags.
    Lagging,
    /// Maintenance is pending.
    Maintenance,
    /// The last verified backup is old.
    StaleBackup,
    /// An instance is rebooting.
    Unwhole,
    /// A witness is silent.
    WitnessSilent,
    /// An alarm of a stop condition is not OK.
    AlarmFiring,
    /// A template no longer asserts its alarms.
    Unguarded,
    /// The safety lever of FIS is engaged.
    LeverEngaged,
    /// The state table cannot be read.
    StateUnreadable,
    /// Nobody wakes the scheduler.
    ScheduleLost,
    /// FIS refuses to start the experiment.
    StartRefused,
    /// The answer to the start is lost.
    StartUnanswered,
    /// The function dies between intention and start.
    DiesAfterIntention,
    /// A stop condition fires in the midst of it.
    StopConditionFires,
    /// The experiment cannot do what it was to do.
    ExperimentFails,
    /// Acknowledged writes are lost.
    WritesLost,
    /// Writes stand still for three minutes.
    TooSlow,
    /// A protected transaction is there twice.
    Doubled,
    /// An episode has no evidence.
    EvidenceMissing,
    /// The application probe is silent.
    ApplicationSilent,
    /// Transfers of the application probe fail.
    ApplicationFails,
    /// The longest time without a commit cannot be told.
    NobodyCanMeasure,
    /// An episode is open on Monday, and closed when an operator orders it again on Wednesday.
    SkippedThenDone,
}

/// Every one of them, between quiet weeks.
pub(super) const YEAR: [Turn; 52] = {
    use Turn as T;
    [
        T::Quiet,
        T::Quiet,
        T::Frozen,
        T::Quiet,
        T::Paused,
        T::Quiet,
        T::EpisodeOpen,
        T::Unwhole,
        T::Lagging,
        T::WitnessSilent,
        T::Maintenance,
        T::Quiet,
        T::StaleBackup,
        T::StaleBackup,
        T::StaleBackup,
        T::Quiet,
        T::AlarmFiring,
        T::AlarmFiring,
        T::Unguarded,
        T::LeverEngaged,
        T::StateUnreadable,
        T::Quiet,
        T::ScheduleLost,
        T::Quiet,
        T::ScheduleLost,
        T::ScheduleLost,
        T::Quiet,
        T::StartRefused,
        T::Quiet,
        T::StartUnanswered,
        T::Quiet,
        T::DiesAfterIntention,
        T::DiesAfterIntention,
        T::Quiet,
        T::StopConditionFires,
        T::Quiet,
        T::ExperimentFails,
        T::Quiet,
        T::WritesLost,
        T::Quiet,
        T::TooSlow,
        T::Quiet,
        T::Doubled,
        T::Quiet,
        T::Quiet,
        T::EvidenceMissing,
        T::NobodyCanMeasure,
        T::Quiet,
        T::SkippedThenDone,
        T::ApplicationSilent,
        T::ApplicationFails,
        T::Quiet,
    ]
};
