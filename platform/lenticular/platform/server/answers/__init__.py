"""What the routes answer: functions of what may be reached and of a question, without HTTP."""
